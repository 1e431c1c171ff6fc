import type { Socket, TCPSocketListener } from "bun";

interface Pair {
  other: Socket<Pair> | null;
  waiting: Uint8Array[];
}

/** A TCP relay that swallows bytes and cuts connections on command. For little traffic: it does not wait for drain. */
export class LossyProxy {
  losing = false;
  lostBytes = 0;
  readonly #sockets = new Set<Socket<Pair>>();
  #listener: TCPSocketListener<Pair> | null = null;

  static async listen(target: number): Promise<LossyProxy> {
    const proxy = new LossyProxy();
    const relay = {
      data: (socket: Socket<Pair>, chunk: Uint8Array) => {
        if (proxy.losing) proxy.lostBytes += chunk.length;
        else if (socket.data.other === null) socket.data.waiting.push(Uint8Array.from(chunk));
        else socket.data.other.write(chunk);
      },
      close: (socket: Socket<Pair>) => {
        proxy.#sockets.delete(socket);
        socket.data.other?.end();
      },
      error: () => {},
    };
    proxy.#listener = Bun.listen<Pair>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        ...relay,
        open: (inbound) => {
          inbound.data = { other: null, waiting: [] };
          proxy.#sockets.add(inbound);
          Bun.connect<Pair>({
            hostname: "127.0.0.1",
            port: target,
            data: { other: inbound, waiting: [] },
            socket: {
              ...relay,
              open: (outbound) => {
                proxy.#sockets.add(outbound);
                inbound.data.other = outbound;
                for (const chunk of inbound.data.waiting) outbound.write(chunk);
              },
            },
          }).catch(() => inbound.end());
        },
      },
    });
    return proxy;
  }

  get port(): number {
    return this.#listener?.port ?? 0;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.terminate();
  }

  stop(): void {
    this.#listener?.stop(true);
    this.cut();
  }
}
