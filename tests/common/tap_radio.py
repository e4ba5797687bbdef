"""A Wi-Fi radio without a radio: a TAP interface that says of itself that it carries 802.11 frames with radiotap headers.

    tap_radio.py NAME

makes the interface, switches it on and says `up`; then it obeys lines on standard input:

    send COUNT RATE SENDERS SSID    COUNT probe requests, RATE a second, from SENDERS addresses; a beacon after every tenth

and says `sent COUNT`. The interface goes away when standard input ends. Needs root and /dev/net/tun.

Addresses are 02:ff:a1:5e:HH:LL, numbered from zero; every second one is 00:ff:a1:5e:HH:LL.
"""

import fcntl
import os
import socket
import struct
import sys
import time

TUNSETIFF, TUNSETLINK = 0x400454CA, 0x400454CD
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
ARPHRD_IEEE80211_RADIOTAP = 803


def interface(name):
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name, IFF_TAP | IFF_NO_PI))
    fcntl.ioctl(tap, TUNSETLINK, ARPHRD_IEEE80211_RADIOTAP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH22x", name, 0)
        flags = struct.unpack("16sH22x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", name, flags | IFF_UP))
    return tap


def headers():
    """Three of the shapes real drivers write: short, with a timestamp and FCS, with signals of single antennas."""
    signal = struct.pack("b", -60)
    yield struct.pack("<BBHI", 0, 0, 9, 0x20) + signal, b""
    body = struct.pack("<QBBHH", 12345, 0x10, 2, 2412, 0xA0) + signal
    yield struct.pack("<BBHI", 0, 0, 8 + len(body), 0x2F) + body, b"\xde\xad\xbe\xef"
    body = struct.pack("<I", 0x820) + signal + struct.pack("bB", -70, 1)
    yield struct.pack("<BBHI", 0, 0, 8 + len(body), 0xA0000020) + body, b""


def frame(control, number, sequence, ssid):
    address = bytes([0x02 if number % 2 == 0 else 0, 0xFF, 0xA1, 0x5E]) + struct.pack(">H", number)
    head = bytes([control, 0, 0, 0]) + b"\xff" * 6 + address + b"\xff" * 6 + struct.pack("<H", (sequence % 4096) << 4)
    return head + bytes([0, len(ssid)]) + ssid + bytes([1, 4, 2, 4, 11, 22])


def send(tap, count, rate, senders, ssid):
    shapes = list(headers())
    began = time.monotonic()
    for sequence in range(count):
        if sequence % 20 == 0:
            time.sleep(max(0.0, began + sequence / rate - time.monotonic()))
        before, after = shapes[sequence % len(shapes)]
        os.write(tap, before + frame(0x40, sequence % senders, sequence, ssid) + after)
        if sequence % 10 == 0:
            os.write(tap, before + frame(0x80, sequence % senders, sequence, ssid) + after)


def main():
    tap = interface(sys.argv[1].encode())
    print("up", flush=True)
    for line in sys.stdin:
        _, count, rate, senders, ssid = line.split()
        send(tap, int(count), int(rate), int(senders), ssid.encode())
        print("sent", count, flush=True)


main()
