// Makes, fills and removes volumes by hand, to keep an engine in the state of a recording.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/child.ts";
import type { Exchange } from "./recordings.ts";
import type { Target } from "./replay.ts";
import type { MadeByHand, StandIn } from "./selection.ts";
import { exchange as send, type WireRequest } from "./wire.ts";

/** How long a plugin's volume may take to come into the list. */
const listTimeoutMs = 10_000;

/** Speaks to one engine, in requests without a version. Every failure is an error. */
export class Hand {
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  async make(volumes: readonly MadeByHand[]): Promise<void> {
    for (const volume of volumes) {
      const body = JSON.stringify({
        Name: volume.name,
        Driver: "local",
        DriverOpts: volume.options ?? null,
        Labels: volume.labels ?? null,
      });
      const headers = { "Content-Type": "application/json" };
      const request = { method: "POST", path: "/volumes/create", headers, body };
      const answer = await send(this.#target.socketPath, request);
      if (answer.status !== 201) throw new Error(`${volume.name} by hand: ${answer.body}`);
    }
  }

  /** Sends a request that must succeed. */
  async do(deed: WireRequest): Promise<void> {
    const answer = await send(this.#target.socketPath, deed);
    const hasFailed = answer.status >= 300 || answer.body.includes('{"errorDetail"');
    if (hasFailed) throw new Error(`${deed.method} ${deed.path} by hand: ${answer.body}`);
  }

  async untilListed(text: string): Promise<void> {
    const look = async () => {
      const answer = await send(this.#target.socketPath, { method: "GET", path: "/volumes" });
      return answer.body.includes(text) ? true : undefined;
    };
    const otherwise = () => `the list of volumes has never had ${text}`;
    await eventually(look, { timeoutMs: listTimeoutMs, otherwise });
  }

  async remove(name: string): Promise<void> {
    const request = { method: "DELETE", path: `/volumes/${name}` };
    const answer = await send(this.#target.socketPath, request);
    if (answer.status !== 204) throw new Error(`removing ${name} by hand: ${answer.body}`);
  }

  /** Does what a left-out exchange did. */
  async standIn(standIn: StandIn): Promise<void> {
    await this.make(standIn.create ?? []);
    for (const name of standIn.remove ?? []) await this.remove(name);
    if (standIn.write === undefined) return;
    const { volume, file, text } = standIn.write;
    writeFileSync(join(this.#target.root, "volumes", volume, "_data", file), text);
  }

  /** Puts the volume in the place of each whose name the engine chose and no recording knows. */
  async giveName(volume: MadeByHand, known: ReadonlySet<string>): Promise<void> {
    const answer = await send(this.#target.socketPath, { method: "GET", path: "/volumes" });
    const generated = volumesIn(answer.body).filter(({ name }) => isGenerated(name));
    for (const { name } of generated) if (!known.has(name)) await this.remove(name);
    await this.make([volume]);
  }
}

/** True for the names that an engine chooses: 64 hexadecimal digits. */
export function isGenerated(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

/** The volumes of a recorded list, without those of plugins. */
export function recordedVolumes(exchange: Exchange | undefined): readonly MadeByHand[] {
  return exchange === undefined ? [] : volumesIn(exchange.answer.body);
}

/** A volume as it must be made to be listed like this one. */
export function volumeOf(value: unknown): MadeByHand | undefined {
  if (typeof value !== "object" || value === null || !("Name" in value)) return undefined;
  if (typeof value.Name !== "string") return undefined;
  const labels = "Labels" in value ? stringMap(value.Labels) : undefined;
  const options = "Options" in value ? stringMap(value.Options) : undefined;
  return {
    name: value.Name,
    ...(labels === undefined ? {} : { labels }),
    ...(options === undefined ? {} : { options }),
  };
}

function volumesIn(body: string): readonly MadeByHand[] {
  const list: unknown = JSON.parse(body);
  if (typeof list !== "object" || list === null || !("Volumes" in list)) return [];
  if (!Array.isArray(list.Volumes)) return [];
  const own = list.Volumes.filter((volume) => volume.Driver === "local");
  return own.map(volumeOf).filter((volume) => volume !== undefined);
}

function stringMap(value: unknown): Readonly<Record<string, string>> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, String(item)]));
}
