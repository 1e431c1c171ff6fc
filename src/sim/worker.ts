/** The thread on which simulated venues and the paper counterparty run, so that the desk has its own. */
import { systemClock } from "../core/clock.ts";
import { FixCounterparty } from "./counterparty.ts";
import type { PeersOptions, PeersReply, PeersRequest } from "./peers.ts";
import { Simulation } from "./simulation.ts";

declare const self: Worker;

const TIMER_MS = 5;
const HOST = "127.0.0.1";

let simulation: Simulation | null = null;
let counterparty: FixCounterparty | null = null;
let timer: ReturnType<typeof setInterval> | undefined;

self.onmessage = async ({ data }: MessageEvent<PeersRequest>) => {
  try {
    if (data.ask === "start") reply(start(data.options));
    else if (data.ask === "stop") reply(await stop());
    else if (simulation !== null) {
      const { market } = simulation;
      market.scheduleToxicEpisode(market.timeUs + data.inMs * 1_000, data.direction);
    }
  } catch (error) {
    reply({ say: "failed", message: error instanceof Error ? error.message : String(error) });
  }
};

function reply(message: PeersReply): void {
  self.postMessage(message);
}

function start(options: PeersOptions): PeersReply {
  const { seed } = options;
  if (options.simulation !== undefined) {
    simulation = new Simulation({ seed, clock: systemClock, ...options.simulation });
    simulation.start();
  }
  const { senderCompId, targetCompId, meanTradeIntervalMs } = options.counterparty;
  counterparty = new FixCounterparty({
    host: HOST,
    port: 0,
    version: "4.4",
    senderCompId,
    targetCompId,
    clock: systemClock,
    seed,
    flow: meanTradeIntervalMs === null ? null : { meanIntervalMs: meanTradeIntervalMs },
  });
  const counterpartyPort = counterparty.start();
  timer = setInterval(() => counterparty?.onTimer(systemClock.wallUs()), TIMER_MS);
  return {
    say: "listening",
    address: {
      counterpartyPort,
      binanceUrl: simulation === null ? null : simulation.binance.server.url,
      deribitUrl: simulation === null ? null : simulation.deribit.server.url,
    },
  };
}

async function stop(): Promise<PeersReply> {
  clearInterval(timer);
  counterparty?.stop();
  await simulation?.stop();
  return { say: "stopped", counters: counterparty?.counters ?? null };
}
