/**
 * Keeps a live desk's models as the registry has them: which one is in force, which is canary and where, which run in the
 * shadow. Every change goes through the registry, whoever makes it (the policy here, an operator, `keel model` on another host), and
 * is carried out on the desk between two of its events.
 *
 * @module
 */
import { hostname } from "node:os";
import type { ChallengeSettings } from "../config/registry.ts";
import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import { KeelError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { type Desk, UNDERLYING_CAPACITY } from "../desk/desk.ts";
import type { ModelAct } from "../desk/model-act.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../feature/schema.ts";
import type { StepEngine } from "../inference/engine.ts";
import { loadModel } from "../inference/model.ts";
import { startEngine } from "../inference/registry.ts";
import type { SwitchedEngine } from "../inference/switched-engine.ts";
import { runIdAt } from "../journal/format.ts";
import { ChallengeLine } from "../learn/challenge/line.ts";
import { type ChallengePhase, judge, type Verdict } from "../learn/challenge/policy.ts";
import { canaryUnderlyings } from "../learn/challenge/split.ts";
import type { Author } from "../learn/registry/history.ts";
import type { Registry } from "../learn/registry/registry.ts";
import { ChallengeTap } from "./challenge-tap.ts";
import { modelFolder } from "./registry-model.ts";

const TURN_US = 1_000_000;
/** How often the registry is looked into for what others wrote. */
const REFRESH_MS = 5_000;
/** Rows that models which are not in force are stepped on at each timer: some 100 µs of every 10 ms at most. */
const CATCH_UP_ROWS = 32;

export interface ModelDirectorOptions {
  readonly config: Config;
  readonly challenge: ChallengeSettings;
  readonly registry: Registry;
  /** Version that the desk runs. */
  readonly version: string;
  readonly desk: Desk;
  readonly models: SwitchedEngine;
  /** Applies an act and journals it. @returns the engine that is let go */
  readonly act: (act: ModelAct, loaded: StepEngine | null) => StepEngine | null;
  readonly clock: Clock;
  readonly log: Logger;
}

export class ModelDirector {
  readonly tap: ChallengeTap;
  readonly line: ChallengeLine;
  /** Times that another model came into force everywhere; canaries and champions taken back; models that were refused. */
  switches = 0;
  rollbacks = 0;
  refusals = 0;
  /** Turns that failed: the registry could not be reached, or was not to be trusted. */
  failures = 0;
  readonly #options: ModelDirectorOptions;
  readonly #policyAuthor = `keel on ${hostname()}`;
  readonly #verdicts = new Map<string, Verdict & { readonly phase: ChallengePhase }>();
  /** Versions that are not tried again, and why. */
  readonly #refused = new Map<string, string>();
  readonly #beside = new Set<string>();
  /** What the thread refused since the last turn. */
  readonly #refusedBeside: (readonly [version: string, why: string])[] = [];
  #running: string;
  #second: string | null = null;
  /** The champion of before, kept warm after it was replaced. */
  #guard: string | null = null;
  #compared: string | null = null;
  #oddRows = 0;
  #turnUs = Number.NEGATIVE_INFINITY;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #turn: Promise<void> | null = null;
  #problem = "";
  #stopped = false;

  constructor(options: ModelDirectorOptions) {
    this.#options = options;
    this.#running = options.version;
    const { config, challenge, desk, clock, log } = options;
    const { outcomes } = config;
    this.line = new ChallengeLine({
      quote: config.quote,
      policy: challenge.policy,
      files:
        outcomes === undefined
          ? null
          : {
              directory: `${outcomes.dir}/models`,
              run: runIdAt(clock.wallUs(), process.pid),
              partBytes: outcomes.partBytes,
              totalBytes: outcomes.totalBytes,
            },
      onRefused: (version, why) => this.#refusedBeside.push([version, why]),
      onProblem: (problem) => log.error("challengers", { problem }),
    });
    this.tap = new ChallengeTap(desk.market, this.line, FEATURE_COUNT, (timeUs) => this.#onTimer(timeUs));
  }

  /** Version that is in force where no canary is. */
  get running(): string {
    return this.#running;
  }

  /** Underlyings that the canary is in force for. */
  get canaryUnderlyings(): string[] {
    const { models, desk } = this.#options;
    return this.#bases().filter((_, at) => models.onSecond(at) && at < desk.market.underlyings.size);
  }

  /** Verdicts of promotion or rejection that nobody has carried out: a person has to. */
  get waiting(): number {
    const decided = [...this.#verdicts.values()].filter(({ verdict }) => verdict !== "wait");
    return this.#options.challenge.promote === "manual" ? decided.length : 0;
  }

  /** For `/models`. */
  view(): unknown {
    const { registry, challenge } = this.#options;
    const { switches, rollbacks, refusals, failures } = this;
    const report = this.line.report;
    return {
      registry: registry.name,
      head: registry.head,
      promote: challenge.promote,
      champion: this.#running,
      canary: registry.canary,
      canaryUnderlyings: this.canaryUnderlyings,
      guard: this.#guard,
      models: Object.fromEntries(
        [...this.#beside].map((version) => [
          version,
          {
            stage: registry.stageOf(version) ?? null,
            verdict: this.#verdicts.get(version) ?? null,
            ...report?.models[version],
          },
        ]),
      ),
      refused: Object.fromEntries(this.#refused),
      counters: { switches, rollbacks, refusals, failures, dropped: this.line.dropped },
      failure: this.line.failure,
    };
  }

  /** Differences in log loss of challengers from the champion, as the thread told last. */
  differences(): {
    readonly version: string;
    readonly mean: number;
    readonly upper: number;
    readonly lower: number;
  }[] {
    const report = this.line.report;
    return Object.entries(report?.models ?? {}).flatMap(([version, { paired }]) => {
      if (version === report?.champion) return [];
      const { mean, lower, upper } = paired.logLoss;
      return [{ version, mean, lower: lower ?? Number.NaN, upper: upper ?? Number.NaN }];
    });
  }

  /** One stage onward. @throws RegistryError when that is not allowed @returns where it stands then */
  async promote(reference: string, author: Author): Promise<{ version: string; stage: string }> {
    const { version, stage } = await this.#options.registry.promote(reference, author);
    this.#refused.delete(version);
    void this.#begin();
    return { version, stage };
  }

  /** Takes the canary out of force at once; without one, the champion of before comes back. @throws RegistryError */
  async rollback(author: Author): Promise<{ version: string; stage: string }> {
    this.#takeCanaryOut();
    const { version, stage } = await this.#options.registry.rollback(author);
    void this.#begin();
    return { version, stage };
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Resolves when everything that is compared is in the files, after the desk has stopped. */
  async ended(): Promise<void> {
    await this.#turn;
    await this.line.ended();
  }

  #onTimer(timeUs: number): void {
    this.#options.models.catchUp(CATCH_UP_ROWS);
    if (timeUs - this.#turnUs < TURN_US) return;
    this.#turnUs = timeUs;
    void this.#begin();
  }

  #begin(): Promise<void> {
    this.#turn ??= this.#take().finally(() => {
      this.#turn = null;
    });
    return this.#turn;
  }

  async #take(): Promise<void> {
    const { registry, clock, log } = this.#options;
    try {
      const nowMs = clock.wallUs() / 1_000;
      if (nowMs - this.#refreshedMs >= REFRESH_MS) {
        await registry.refresh();
        this.#refreshedMs = nowMs;
      }
      for (const [version, why] of this.#refusedBeside.splice(0)) await this.#refuse(version, why);
      await this.#followChampion();
      await this.#followCanary();
      await this.#followShadows();
      await this.#judge();
      this.#problem = "";
    } catch (error) {
      this.failures += 1;
      const problem = error instanceof Error ? error.message : String(error);
      if (problem !== this.#problem) log.error("models stay as they are", { error });
      this.#problem = problem;
    }
  }

  /** Another champion comes into force: warm first, then between two events. */
  async #followChampion(): Promise<void> {
    const { registry, log } = this.#options;
    const wanted = registry.champion;
    if (wanted === null || wanted === this.#running || this.#refused.has(wanted)) return;
    if (this.#second !== wanted) {
      await this.#loadSecond(wanted);
      return;
    }
    const old = this.#running;
    this.#act({ do: "exchange" });
    this.#running = wanted;
    this.#second = old;
    this.switches += 1;
    const isBack = wanted === this.#guard;
    if (isBack) this.rollbacks += 1;
    this.#guard = isBack ? null : old;
    log.warn("another model is in force", { version: wanted, before: old });
  }

  async #followCanary(): Promise<void> {
    const { registry } = this.#options;
    const { canary, champion } = registry;
    const second = this.#second;
    if (second !== null && second !== canary && second !== champion && second !== this.#guard) {
      await this.#unload();
    }
    if (canary === null || this.#refused.has(canary) || (champion !== this.#running && champion !== null))
      return;
    if (this.#second !== canary) {
      this.#guard = null;
      await this.#loadSecond(canary);
      if (this.#second === canary) this.line.beginAnew(canary);
      return;
    }
    if (this.#options.models.oddRows > this.#oddRows) {
      this.#oddRows = this.#options.models.oddRows;
      await this.#refuse(canary, "odd-output: it answered with something that is no probability");
      return;
    }
    this.#split(canary);
  }

  /** Puts the canary in force where it has been drawn. */
  #split(canary: string): void {
    const { models, config, challenge, clock } = this.#options;
    const { canaryShare: share, canarySliceMs: sliceMs } = challenge.policy;
    const bases = this.#bases();
    const drawn = canaryUnderlyings(canary, bases, clock.wallUs() / 1_000, {
      seed: config.seed,
      share,
      sliceMs,
    });
    const same = bases.every((_, at) => models.onSecond(at) === drawn.includes(at));
    if (!same) this.#act({ do: "force", underlyings: drawn });
  }

  /** The models that run beside: the champion's own twin, the canary, a guard, and as many shadows as are allowed. */
  async #followShadows(): Promise<void> {
    const { registry, challenge } = this.#options;
    const standing = registry.list().filter(({ version }) => !this.#refused.has(version));
    const shadows = standing.filter(({ stage }) => stage === "shadow").map(({ version }) => version);
    if (challenge.promote === "auto" && shadows.length < challenge.models) {
      const candidate = standing.find(({ stage }) => stage === "candidate");
      if (candidate !== undefined) {
        const why = "there is room in the shadow";
        await registry.setStage(candidate.version, "shadow", { who: this.#policyAuthor, why });
        shadows.push(candidate.version);
      }
    }
    const canary = registry.canary !== null && !this.#refused.has(registry.canary) ? [registry.canary] : [];
    const guard = this.#guard === null ? [] : [this.#guard];
    const wanted = new Set([this.#running, ...canary, ...guard, ...shadows.slice(0, challenge.models)]);
    for (const version of [...this.#beside]) {
      if (wanted.has(version)) continue;
      this.line.remove(version);
      this.#beside.delete(version);
      this.#verdicts.delete(version);
    }
    for (const version of wanted) {
      if (this.#beside.has(version)) continue;
      try {
        const { card, onnx } = await registry.read(version);
        this.line.add({ version, card: new TextDecoder().decode(card), onnx });
        this.#beside.add(version);
      } catch (error) {
        await this.#refuse(version, reasonOf(error));
      }
    }
    if (this.#compared === this.#running) return;
    this.#compared = this.#running;
    this.#verdicts.clear();
    this.line.compareWith(this.#running);
  }

  async #judge(): Promise<void> {
    const { registry, challenge } = this.#options;
    const report = this.line.report;
    if (report === null || report.champion !== this.#running) return;
    for (const [version, found] of Object.entries(report.models)) {
      if (version === this.#running) continue;
      const phase =
        version === this.#guard ? "guard" : registry.stageOf(version) === "canary" ? "canary" : "shadow";
      const verdict = judge(phase, found, challenge.policy);
      this.#verdicts.set(version, { ...verdict, phase });
      if (phase === "guard" && verdict.verdict === "reject") this.#guard = null;
      else if (challenge.promote === "auto") await this.#carryOut(version, phase, verdict);
    }
  }

  async #carryOut(version: string, phase: ChallengePhase, { verdict, reason, text }: Verdict): Promise<void> {
    const { registry } = this.#options;
    const author = { who: this.#policyAuthor, why: `${reason}: ${text}` };
    if (verdict === "wait") return;
    if (phase === "guard") {
      await registry.rollback(author);
    } else if (verdict === "reject") {
      await this.#refuse(version, author.why);
    } else if (phase === "canary") {
      await registry.setStage(version, "champion", author);
    } else if (registry.canary === null && this.#guard === null) {
      await registry.setStage(version, "canary", author);
    }
  }

  /** A version does not run here any more; by the policy it retires, unless it is champion, which only another one can replace. */
  async #refuse(version: string, why: string): Promise<void> {
    const { registry, challenge, log } = this.#options;
    const stage = registry.stageOf(version);
    if (stage === "canary") {
      this.#takeCanaryOut();
      this.rollbacks += 1;
    }
    this.refusals += 1;
    this.#refused.set(version, why);
    log.warn("a model is refused", { version, stage, why });
    if (challenge.promote === "auto" && (stage === "candidate" || stage === "shadow" || stage === "canary")) {
      await registry.setStage(version, "retired", { who: this.#policyAuthor, why });
    }
  }

  #takeCanaryOut(): void {
    const { models, registry } = this.#options;
    if (this.#second === null || this.#second !== registry.canary) return;
    if (this.#bases().some((_, at) => models.onSecond(at))) this.#act({ do: "force", underlyings: [] });
  }

  async #loadSecond(version: string): Promise<void> {
    const { registry, config, log } = this.#options;
    if (this.#second !== null) await this.#unload();
    try {
      const source = await registry.materialise(version, modelFolder(config));
      const model = await loadModel(source, { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });
      const { engine } = await startEngine({
        ...{ device: "cpu", settings: config.engines, model },
        ...{ slotCount: UNDERLYING_CAPACITY, maxBatch: UNDERLYING_CAPACITY },
        log: (line) => log.info(line),
      });
      const { name, onnxSha256 } = model.card;
      const acted = { name, source, onnxSha256, engine: engine.name, isa: engine.isa ?? null };
      try {
        this.#act({ do: "load", model: acted }, engine);
        this.#second = version;
        this.#oddRows = this.#options.models.oddRows;
      } finally {
        if (this.#second !== version) await engine.dispose();
      }
    } catch (error) {
      await this.#refuse(version, reasonOf(error));
    }
  }

  async #unload(): Promise<void> {
    this.#second = null;
    await this.#act({ do: "unload" })?.dispose();
  }

  #act(act: ModelAct, loaded: StepEngine | null = null): StepEngine | null {
    if (this.#stopped) throw new KeelError("stopped", "the desk has stopped");
    return this.#options.act(act, loaded);
  }

  #bases(): string[] {
    const { underlyings } = this.#options.desk.market;
    return Array.from({ length: underlyings.size }, (_, at) => underlyings.base(at));
  }
}

/** A reason by its name, where it has one. */
function reasonOf(error: unknown): string {
  if (error instanceof KeelError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
