// What one step of a client's load is, and how it complains.
import { isDeepStrictEqual } from "node:util";
import type { Random } from "../support/random.ts";
import type { Client } from "./client.ts";
import type { ClientModel } from "./model.ts";
import { shortened } from "./world.ts";

export interface LoadParts {
  readonly client: Client;
  readonly model: ClientModel;
  readonly random: Random;
  /** Of the daemon: what lies in its trash is looked at on the disk. */
  readonly root: string;
  /** Whether volumes with `type=tmpfs` may be mounted here. */
  readonly canMount: boolean;
  /** From then on a request may fail without an answer. */
  readonly isKilled: () => boolean;
  /** Called after every acknowledged request. */
  readonly onAnswer?: () => void;
}

/** One request, or the few of one verb, about this name of the client. */
export type Step = (parts: LoadParts, name: string) => Promise<void>;

/** An answer that contradicts an earlier one. */
export class Surprise extends Error {
  override readonly name = "Surprise";
}

export function agree(what: string, got: unknown, wanted: unknown): void {
  if (isDeepStrictEqual(got, wanted)) return;
  throw new Surprise(`${what}: got ${shortened(got)}, wanted ${shortened(wanted)}`);
}
