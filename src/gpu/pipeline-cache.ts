import { type GpuDeviceView, scoped } from "./error-scope.ts";
import { GpuError } from "./errors.ts";

/** Values of a shader's `override` declarations. */
export type Overrides = Readonly<Record<string, number>>;

/** Compiled pipelines of a device by their text, entry point and overrides: equal ones are compiled once. */
export class PipelineCache {
  readonly #view: GpuDeviceView;
  readonly #modules = new Map<string, Promise<GPUShaderModule>>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();

  constructor(view: GpuDeviceView) {
    this.#view = view;
  }

  get size(): number {
    return this.#pipelines.size;
  }

  /**
   * A compute pipeline with the layout that its text implies.
   *
   * @param name for messages
   * @throws GpuError with the compiler's first complaint and its line.
   */
  compute(
    name: string,
    code: string,
    entryPoint: string,
    overrides: Overrides = {},
  ): Promise<GPUComputePipeline> {
    const sorted = Object.entries(overrides).sort(([a], [b]) => (a < b ? -1 : 1));
    const key = JSON.stringify([code, entryPoint, sorted]);
    let pipeline = this.#pipelines.get(key);
    if (pipeline === undefined) {
      pipeline = this.#compile(name, code, entryPoint, overrides);
      this.#pipelines.set(key, pipeline);
      pipeline.catch(() => this.#pipelines.delete(key));
    }
    return pipeline;
  }

  /** Lets go of everything compiled: an object of Dawn that JavaScript still holds keeps its compiler's memory. */
  clear(): void {
    this.#modules.clear();
    this.#pipelines.clear();
  }

  async #compile(
    name: string,
    code: string,
    entryPoint: string,
    overrides: Overrides,
  ): Promise<GPUComputePipeline> {
    const module = await this.#module(name, code);
    const what = `pipeline ${name}/${entryPoint}`;
    return scoped(this.#view.device, what, () =>
      this.#view.device.createComputePipeline({
        label: what,
        layout: "auto",
        compute: { module, entryPoint, constants: { ...overrides } },
      }),
    );
  }

  #module(name: string, code: string): Promise<GPUShaderModule> {
    let module = this.#modules.get(code);
    if (module === undefined) {
      module = this.#compileModule(name, code);
      this.#modules.set(code, module);
      module.catch(() => this.#modules.delete(code));
    }
    return module;
  }

  async #compileModule(name: string, code: string): Promise<GPUShaderModule> {
    const what = `shader ${name}`;
    return scoped(this.#view.device, what, () =>
      this.#view.device.createShaderModule({ label: what, code }),
    ).catch(async (error: unknown) => {
      throw error instanceof GpuError ? error : new GpuError("internal", what, String(error));
    });
  }
}
