import { EXIT } from "../core/errors.ts";
import { defineCommand } from "./command.ts";

/** The simulated underlying's first price, USD. */
const PRICE = 60_000;
const FRAME_MS = 200;
/** Size of the view at the end when it is not shown live. */
const PIPED = { columns: 120, rows: 60 } as const;
/** Informed traders come this often, so that the model has something to see. */
const EPISODE_MS = 6_000;
const FIRST_EPISODE_MS = 5_000;

export const demo = defineCommand({
  name: "demo",
  summary: "Simulated venues, a FIX counterparty and the desk between them, live in the terminal",
  usage: "[--seconds N] [--seed N]",
  details: `Needs no network, no GPU and no configuration. Simulated Binance USD-M and Deribit venues serve their own wire formats over
real WebSockets on this host; a counterparty takes the quotes over a real FIX 4.4 session and trades against them. Every few
seconds informed traders act before a jump. On a terminal the desk is shown live; when piped, a line a second.

KEEL_DEVICE, KEEL_MODEL, KEEL_HTTP, KEEL_JOURNAL_DIR, KEEL_QUOTE_… and KEEL_RISK_… are honoured; feeds and counterparty are
the demo's own. The result is that of \`keel run\`.`,
  options: {
    seconds: { type: "number", value: "N", min: 1, default: 20, description: "How long" },
    seed: {
      type: "number",
      value: "N",
      integer: true,
      min: 0,
      default: 1,
      description: "Seed of the market",
    },
    speed: {
      type: "number",
      value: "N",
      min: 0.1,
      max: 20,
      default: 1,
      description: "Simulated seconds per second",
    },
    strikes: {
      type: "number",
      value: "N",
      integer: true,
      min: 1,
      max: 250,
      default: 19,
      description: "Strikes of each of the four expiries; 125 make 1,000 options",
    },
  },
  environment: true,
  async run({ options, config, log, out, shutdown }) {
    const { mkdtempSync, rmSync } = await import("node:fs");
    const { tmpdir } = await import("node:os");
    const { join } = await import("node:path");
    const { systemClock } = await import("../core/clock.ts");
    const { endpointAt } = await import("../feed/registry.ts");
    const { Session } = await import("../live/session.ts");
    const { stopped } = await import("../live/stopped.ts");
    const { drawInPlace, renderView } = await import("../monitor/view.ts");
    const { summaryLines } = await import("../monitor/summary-text.ts");
    const { Peers } = await import("../sim/peers.ts");

    const peers = await Peers.start({
      seed: options.seed,
      simulation: { price: PRICE, speed: options.speed, strikesPerExpiry: options.strikes },
      counterparty: { senderCompId: "PAPER", targetCompId: "KEEL", meanTradeIntervalMs: 1_500 },
    });
    const { binanceUrl, deribitUrl } = peers.address;
    const stateDir = mkdtempSync(join(tmpdir(), "keel-demo-"));
    const session = await Session.start({
      config: {
        ...config,
        fix: undefined,
        signals: undefined,
        distribution: { kafka: undefined, redis: undefined },
        seed: options.seed,
        stateDir,
        feeds: [
          { venue: "binance-usdm", subscriptions: ["BTCUSDT"] },
          { venue: "deribit", subscriptions: ["BTC-PERPETUAL", "options:BTC"] },
        ],
        endpoints: {
          ...config.endpoints,
          "binance-usdm": { ...endpointAt("binance-usdm", binanceUrl ?? ""), standIn: true },
          deribit: { ...endpointAt("deribit", deribitUrl ?? ""), standIn: true },
        },
      },
      log,
      clock: systemClock,
      peers,
    });
    const { live } = session;
    const startedNs = systemClock.monotonicNs();
    const onTerminal = out.columns > 0 && !out.json;
    const render = (): string[] =>
      renderView(live.desk, live.timer, {
        title: `keel demo · seed ${options.seed} · ${live.engineName} · ${live.model.card.name}`,
        headNames: live.model.card.heads.map(({ name }) => name),
        sessionUp: live.gateway.ready,
        seconds: (systemClock.monotonicNs() - startedNs) / 1e9,
        columns: onTerminal ? out.columns : PIPED.columns,
        rows: onTerminal ? out.rows : PIPED.rows,
      });
    if (onTerminal) out.raw("\x1b[2J");
    const drawing = onTerminal
      ? setInterval(() => out.raw(drawInPlace(render(), out.columns, out.rows)), FRAME_MS)
      : setInterval(() => {
          if (!out.json) out.line(render().at(-1));
        }, 1_000);
    let direction: "down" | "up" = "down";
    const episode = (): void => {
      peers.toxicEpisode(0, direction);
      direction = direction === "down" ? "up" : "down";
    };
    const first = setTimeout(episode, FIRST_EPISODE_MS / options.speed);
    const episodes = setInterval(episode, EPISODE_MS / options.speed);
    await stopped(shutdown, options.seconds);
    clearInterval(drawing);
    clearTimeout(first);
    clearInterval(episodes);
    const last = render();
    const summary = await session.stop();
    rmSync(stateDir, { recursive: true, force: true });
    if (onTerminal) out.raw(`${drawInPlace(last, out.columns, out.rows)}\n\n`);
    else if (!out.json) for (const line of last) out.line(line);
    out.line();
    for (const line of summaryLines(summary)) out.line(line);
    out.result(summary);
    return EXIT.ok;
  },
});
