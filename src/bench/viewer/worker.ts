/** Looks on over the dashboard's socket, and reads what it is sent as a page does. */
import type { Update } from "../../monitor/dashboard/protocol.ts";
import type { ViewerReply, ViewerRequest } from "./protocol.ts";

declare const self: Worker;

let socket: WebSocket | null = null;
let updates = 0;
let bytes = 0;
let lastUs = 0;

self.onmessage = ({ data }: MessageEvent<ViewerRequest>) => {
  if (data.ask === "look") look(data.base, JSON.stringify(data.watch));
  else leave();
};

function look(base: string, watch: string): void {
  updates = 0;
  bytes = 0;
  socket = new WebSocket(`${base.replace("http", "ws")}/dashboard/live`, { headers: { origin: base } });
  socket.onopen = () => {
    socket?.send(watch);
    reply({ say: "looking" });
  };
  socket.onerror = () => reply({ say: "failed", message: `${base} serves no dashboard` });
  socket.onmessage = ({ data }) => {
    const text = String(data);
    const { us } = JSON.parse(text) as Update;
    if (us < lastUs) reply({ say: "failed", message: "updates came in another order" });
    lastUs = us;
    updates += 1;
    bytes += text.length;
  };
}

function leave(): void {
  socket?.close();
  socket = null;
  reply({ say: "left", updates, bytes });
}

function reply(message: ViewerReply): void {
  self.postMessage(message);
}
