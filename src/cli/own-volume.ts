// A volume as Holdfast's own API describes it: its state and its holders, in words for people.
import type { DaemonClient } from "./client.ts";
import { DaemonRefusal } from "./failure.ts";
import { conditionText } from "./plugin-state.ts";

/** Somebody who has a volume (src/api/holdfast/contract.ts). */
export interface OwnHolder {
  readonly id: string;
  readonly state: "client" | "running" | "stopped" | "starting" | "stale";
  readonly name: string | null;
  readonly project: string | null;
  readonly engine: string | null;
  readonly access: "ro" | "rw" | null;
  readonly since: string | null;
  readonly reason: string | null;
}

/** The part of Holdfast's own description of a volume that is shown. */
export interface OwnVolume {
  readonly name: string;
  readonly state: string;
  /**
   * Where its plugin or its storage is what is wrong: since when, and why. undefined: of an older
   * daemon.
   */
  readonly stateSince?: string | null;
  readonly stateReason?: string | null;
  readonly storage?: { readonly server: string } | null;
  readonly firstUsedAt: string | null;
  readonly lastUsedAt: string | null;
  readonly holders: readonly OwnHolder[];
  /** undefined: of a daemon that knows no protection. */
  readonly protection?: { readonly reason: string } | null;
}

/** One page of them, sorted by name. */
interface OwnPage {
  readonly volumes: readonly OwnVolume[];
  readonly next: string | null;
}

/** How many holders a line names; the others are counted. */
const NAMED_COUNT_MAX = 3;

/** How many characters of a reason a line has room for. */
const REASON_LENGTH_MAX = 40;

/** How many characters of an id are shown, as Docker's CLI does it. */
const SHORT_ID_CHARACTERS = 12;

/** All volumes by name; nothing where the daemon is not ours. */
export async function readOwnVolumes(
  client: DaemonClient,
): Promise<ReadonlyMap<string, OwnVolume>> {
  const found = new Map<string, OwnVolume>();
  try {
    for (let after: string | null = ""; after !== null; ) {
      const page: OwnPage = await client.json<OwnPage>({
        method: "GET",
        path: `/holdfast/v1/volumes?after=${encodeURIComponent(after)}`,
      });
      for (const volume of page.volumes) found.set(volume.name, volume);
      after = page.next;
    }
    return found;
  } catch (error) {
    if (error instanceof DaemonRefusal) return new Map();
    throw error;
  }
}

/**
 * `idle`; `UNREACHABLE 12m (connection refused)`; `idle, protected: prod orders, ask first`, which
 * is cut where it is long.
 */
export function stateText(volume: OwnVolume, nowMs: number): string {
  const { protection, stateSince = null, stateReason = null, storage } = volume;
  // Of what does not answer the server says more than that it did not.
  const why = volume.state === "unreachable" ? (storage?.server ?? stateReason) : stateReason;
  const condition = { state: volume.state, since: stateSince, reason: why };
  const state = stateSince === null ? volume.state : conditionText(condition, nowMs);
  if (!protection) return state;
  const { reason } = protection;
  const isLong = reason.length > REASON_LENGTH_MAX;
  return `${state}, protected: ${isLong ? `${reason.slice(0, REASON_LENGTH_MAX - 1)}…` : reason}`;
}

/** Everybody in one line: `shop/db (rw), web (stopped), client c1, +2`; "-" for nobody. */
export function holdersText(holders: readonly OwnHolder[]): string {
  if (holders.length === 0) return "-";
  // Whoever is out of order must not be hidden behind a number.
  const ordered = [
    ...holders.filter(({ reason }) => reason !== null),
    ...holders.filter(({ reason }) => reason === null),
  ];
  const named = ordered.slice(0, NAMED_COUNT_MAX).map(holderText);
  const more = holders.length - named.length;
  return [...named, ...(more > 0 ? [`+${more}`] : [])].join(", ");
}

function holderText(holder: OwnHolder): string {
  const { id, state, access, reason } = holder;
  if (state === "client") return `client ${id}`;
  // Of a stale one the reason is a sentence: inspect has it.
  if (state !== "running") return `${nameOf(holder)} (${state})`;
  const breach = reason === null ? "" : `, ${reason}`;
  return `${nameOf(holder)} (${access ?? state}${breach})`;
}

function nameOf({ id, name, project }: OwnHolder): string {
  if (name !== null) return project === null ? name : `${project}/${name}`;
  return /^[0-9a-f]{32,}$/.test(id) ? id.slice(0, SHORT_ID_CHARACTERS) : id;
}
