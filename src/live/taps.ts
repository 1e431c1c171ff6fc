import type { Config } from "../config.ts";
import { type Desk, UNDERLYING_CAPACITY } from "../desk/desk.ts";
import { ShmWriter } from "../gateway/shm/writer.ts";
import type { DeskTap } from "../gateway/tap.ts";
import type { StepModel } from "../inference/step-model.ts";

/** Those who follow the desk's decisions, as configured. @throws KeelError naming what is missing */
export function configuredTaps({ shm }: Config, { market }: Desk, { card }: StepModel): DeskTap[] {
  const taps: DeskTap[] = [];
  if (shm !== undefined) {
    const { instruments, underlyings } = market;
    const heads = card.heads.map(({ name }) => name);
    const model = { name: card.name, schemaHash: card.schemaHash, heads };
    const desk = { instruments, underlyings, underlyingCapacity: UNDERLYING_CAPACITY, model };
    taps.push(new ShmWriter({ ...shm, desk }));
  }
  return taps;
}
