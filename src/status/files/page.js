// Makes numbers and pictures move. Without it the page asks for itself again every five seconds.
"use strict";

const live = document.getElementById("live");
if (live) {
  const source = new EventSource("/live?at=" + encodeURIComponent(location.pathname));
  source.onopen = () => document.body.classList.remove("stale");
  source.onmessage = (event) => { live.innerHTML = event.data; };
  source.onerror = () => {
    document.body.classList.add("stale");
    // The browser tries again by itself, unless the box has refused: logged out, or too many pages are open.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  };
}

const picture = document.getElementById("picture");
if (picture) {
  const address = picture.getAttribute("src");
  const none = document.getElementById("no-picture");
  const again = (milliseconds, works) => {
    none.hidden = works;
    picture.hidden = !works;
    setTimeout(() => {
      // Nobody looks: the camera need not draw.
      if (document.hidden) return again(1000, works);
      picture.src = address + "?" + Date.now();
    }, milliseconds);
  };
  picture.onload = () => again(300, true);
  picture.onerror = () => again(3000, false);
  // It may have come, or failed, before this script.
  if (picture.complete) again(300, picture.naturalWidth > 0);
}
