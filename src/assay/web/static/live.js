// The server's events. Browsers keep few connections to one server, so of all open tabs one listens and tells the others.

const NAME = "assay-events";

export function follow(hear) {
  if (!navigator.locks || !window.BroadcastChannel) {
    listen(hear);
    return;
  }
  const channel = new BroadcastChannel(NAME);
  channel.onmessage = (event) => hear(event.data);
  navigator.locks.request(NAME, () => new Promise(() => {
    listen((message) => { hear(message); channel.postMessage(message); });
  }));
}

function listen(tell) {
  const source = new EventSource("/api/events");
  source.onmessage = (event) => tell(JSON.parse(event.data));
  source.onerror = () => {
    tell({ offline: true });
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(tell), 3000);
  };
}
