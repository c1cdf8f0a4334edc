// What tests do with volumes on the client machine, over the daemon's own API: no program is
// started for it, which takes a second on that machine.
import { expect } from "bun:test";
import type { DriverOptions } from "../../../src/core/driver.ts";
import { eventually } from "../child.ts";
import type { AgentAnswer } from "./agent-protocol.ts";
import type { LabDaemon } from "./lab.ts";
import { NAS_SECRET, type Nas } from "./nas.ts";

/** What must not wait for storage answers within this, on a busy machine that is emulated. */
export const promptMs = 3_000;

const holder = "one";

export class NasClient {
  readonly daemon: LabDaemon;

  constructor(daemon: LabDaemon) {
    this.daemon = daemon;
  }

  /** Whatever comes of it. */
  tryCreate(name: string, nas: Nas, more: DriverOptions = {}): Promise<AgentAnswer> {
    const body = { Name: name, Driver: nas.driver, DriverOpts: { ...nas.options, ...more } };
    return this.daemon.send("POST", "/volumes/create", body);
  }

  /** In a directory of its name. */
  async create(name: string, nas: Nas, more: DriverOptions = {}): Promise<void> {
    const made = await this.tryCreate(name, nas, { subpath: name, ...more });
    expect(made).toMatchObject({ code: 201 });
  }

  tryHold(name: string): Promise<AgentAnswer> {
    return this.daemon.send("PUT", `/holdfast/v1/volumes/${name}/holders/${holder}`);
  }

  /** Returns where its data is. */
  async hold(name: string): Promise<string> {
    const held = await this.tryHold(name);
    expect(held).toMatchObject({ code: 200 });
    return String(JSON.parse(held.text).path);
  }

  async release(name: string): Promise<void> {
    const path = `/holdfast/v1/volumes/${name}/holders/${holder}`;
    expect(await this.daemon.send("DELETE", path)).toMatchObject({ code: 204 });
  }

  /** With its holder. */
  async remove(name: string): Promise<void> {
    await this.release(name);
    expect(await this.daemon.send("DELETE", `/volumes/${name}`)).toMatchObject({ code: 204 });
  }

  /** Removes it with its data, as somebody who has confirmed it. */
  async purge(name: string): Promise<void> {
    const path = `/holdfast/v1/volumes/${name}?purge=true&confirm=${name}`;
    expect(await this.daemon.send("DELETE", path)).toMatchObject({ code: 204 });
  }

  tryPutSecret(value: string, name = NAS_SECRET): Promise<AgentAnswer> {
    const body = { value: Buffer.from(value).toString("base64"), replace: true };
    return this.daemon.send("PUT", `/holdfast/v1/secrets/${name}`, body);
  }

  async putSecret(value: string, name = NAS_SECRET): Promise<void> {
    expect(await this.tryPutSecret(value, name)).toMatchObject({ code: 200 });
  }

  /** As `inspect` has it, which must not wait for the storage. */
  async stateOf(name: string): Promise<string> {
    const answer = await this.daemon.send("GET", `/holdfast/v1/volumes/${name}`);
    expect(answer.tookMs, "a look at the volume").toBeLessThan(promptMs);
    return String(JSON.parse(answer.text).state);
  }

  async untilState(name: string, wanted: string, timeoutMs: number): Promise<void> {
    let last = "";
    await eventually(
      async () => {
        last = await this.stateOf(name);
        return last === wanted ? true : undefined;
      },
      { timeoutMs, otherwise: () => `${name} is ${last}, and never ${wanted}` },
    );
  }
}
