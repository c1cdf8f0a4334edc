// A faulty registry and a client of it, fresh for each test, and what tests ask of the two.
import { afterEach, beforeEach, expect } from "bun:test";
import type { ErrorCode } from "../../src/core/error-table.ts";
import { EngineError } from "../../src/core/errors.ts";
import { type PluginReference, parsePluginReference } from "../../src/core/plugin-reference.ts";
import type { ResolvedImage } from "../../src/plugins/registry/images.ts";
import { type FaultRegistry, startFaultRegistry } from "./fault-registry.ts";
import { testOperation } from "./operation.ts";
import { callWith, type RegistryBench, registryBench } from "./registry-bench.ts";

export class PullBench {
  /** Where `reference` points to. */
  readonly name = { path: "some/plug", tag: "v1" };
  #registry: FaultRegistry | undefined;
  #bench: RegistryBench | undefined;

  /** Registers the hooks of the file's tests. */
  constructor() {
    beforeEach(async () => {
      this.#registry = await startFaultRegistry();
      this.#bench = registryBench();
    });
    afterEach(async () => {
      this.#bench?.[Symbol.dispose]();
      await this.#registry?.[Symbol.asyncDispose]();
    });
  }

  get registry(): FaultRegistry {
    if (this.#registry === undefined) throw new Error("only within a test");
    return this.#registry;
  }

  get client(): RegistryBench {
    if (this.#bench === undefined) throw new Error("only within a test");
    return this.#bench;
  }

  get reference(): PluginReference {
    return parsePluginReference(`${this.registry.host}/some/plug:v1`);
  }

  resolve(call = callWith(), signal?: AbortSignal): Promise<ResolvedImage> {
    return this.client.images.resolve(this.reference, call, testOperation(signal));
  }

  /** Resolves with the paths of the layers. */
  async download(image: ResolvedImage, call = callWith()): Promise<readonly string[]> {
    const { images, tell } = this.client;
    const files = await images.download(image, call, tell, testOperation());
    return files.map(({ path }) => path);
  }

  async pull(call = callWith(), signal?: AbortSignal): Promise<readonly string[]> {
    const image = await this.resolve(call);
    const { images, tell } = this.client;
    const files = await images.download(image, call, tell, testOperation(signal));
    return files.map(({ path }) => path);
  }

  /** What it fails with; nothing half is left then. */
  async failure(code: ErrorCode, run: Promise<unknown>): Promise<EngineError> {
    const error = await run.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof EngineError)) throw new Error(`no EngineError: ${String(error)}`);
    expect({ code: error.code, text: error.message }).toMatchObject({ code });
    expect(this.client.partial()).toEqual([]);
    return error;
  }
}
