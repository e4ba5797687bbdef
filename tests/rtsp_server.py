#!/usr/bin/python3
"""An RTSP server on loopback for the tests of network cameras; GStreamer's own.

  rtsp_server.py FILE [--port N] [--codec h264|h265] [--user NAME --password WORD]

Serves FILE (MP4) at rtsp://127.0.0.1:N/shop to each viewer from its start and at its own speed. Prints `ready N` when
it listens. Needs python3-gi, gir1.2-gst-rtsp-server-1.0 and gstreamer1.0-plugins-{good,bad}. Exit 77: not installed.
"""

import argparse
import sys

try:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer
except (ImportError, ValueError) as missing:
    print(f"GStreamer's RTSP server is not installed: {missing}", file=sys.stderr)
    sys.exit(77)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("file")
    arguments.add_argument("--port", default="0")
    arguments.add_argument("--codec", default="h264", choices=["h264", "h265"])
    arguments.add_argument("--user")
    arguments.add_argument("--password")
    options = arguments.parse_args()

    Gst.init(None)
    for element in ("qtdemux", f"{options.codec}parse", f"rtp{options.codec}pay"):
        if Gst.ElementFactory.find(element) is None:
            print(f"GStreamer has no {element}", file=sys.stderr)
            sys.exit(77)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    factory = GstRtspServer.RTSPMediaFactory.new()
    codec = options.codec
    factory.set_launch(
        f'( filesrc location="{options.file}" ! qtdemux ! {codec}parse ! rtp{codec}pay name=pay0 pt=96 config-interval=-1 )'
    )
    if options.user:
        auth = GstRtspServer.RTSPAuth.new()
        token = GstRtspServer.RTSPToken.new()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(options.user, options.password or "", token)
        server.set_auth(auth)
        factory.add_role_from_structure(
            Gst.Structure.from_string("viewer, media.factory.access=true, media.factory.construct=true")[0]
        )
    server.get_mount_points().add_factory("/shop", factory)
    if server.attach(None) == 0:
        print(f"port {options.port} is taken", file=sys.stderr)
        sys.exit(1)
    print("ready", server.get_bound_port(), flush=True)
    # Sessions of viewers that went away without a good bye.
    GLib.timeout_add_seconds(5, lambda: server.get_session_pool().cleanup() >= 0)
    GLib.MainLoop().run()


main()
