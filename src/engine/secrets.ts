// Secrets as callers know them: which there are, which volumes log in with them, what a new value
// does to those.
//
// The values are behind `SecretStore`; none ever comes out here.
import { EngineError, toEngineError } from "../core/errors.ts";
import type { LeaseService } from "../core/lease-service.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { SecretRecord, SecretStore, SecretValue } from "../core/secret-store.ts";
import type { StateStore, VolumeEntry } from "../core/state-store.ts";
import { refuseMoving } from "./adoption/moving.ts";
import type { Drivers } from "./drivers.ts";
import { driverOptions } from "./engine-options.ts";
import type { EventLog } from "./event-log.ts";
import type { StorageCare } from "./health/health-care.ts";
import { SECRET_OPTION } from "./secret-lease.ts";
import type { VolumeEngine } from "./volumes.ts";

/** How many volumes get a new value at once: each may ask a server that does not answer. */
const REFRESHED_AT_ONCE_MAX = 4;
/** How many volumes a message names. */
const NAMED_COUNT_MAX = 10;

export interface SecretView {
  readonly record: SecretRecord;
  /** Which volumes log in with it, sorted. */
  readonly volumes: readonly VolumeName[];
  /** What lies in the trash and did: names as they were, sorted. */
  readonly trashed: readonly VolumeName[];
}

/** What became of a volume when its secret had got a new value. */
export interface RefreshedVolume {
  readonly volume: VolumeName;
  /**
   * "updated": its driver has taken it. "next mount": what is mounted goes on with the old one
   * until then, or until its server refuses that. "failed": its driver has not taken it.
   */
  readonly outcome: "updated" | "next mount" | "failed";
  /** Why it failed; null: it did not. */
  readonly reason: string | null;
}

export interface PutSecret {
  readonly view: SecretView;
  readonly wasReplaced: boolean;
  readonly refreshed: readonly RefreshedVolume[];
  /** Other secrets that cannot be read: they were sealed with another key. */
  readonly unreadable: readonly string[];
}

export interface SecretsParts {
  readonly store: SecretStore;
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly drivers: Drivers;
  readonly volumes: Pick<VolumeEngine, "inspect" | "lease">;
  readonly events: EventLog;
  readonly care: Pick<StorageCare, "follow">;
}

/** Names of volumes by the secret that they have. */
type Users = ReadonlyMap<string, readonly VolumeName[]>;

export class Secrets {
  readonly #parts: SecretsParts;

  constructor(parts: SecretsParts) {
    this.#parts = parts;
  }

  /** Sorted by name. O(volumes + trash). */
  list(): readonly SecretView[] {
    const [volumes, trashed] = [this.#volumesBySecret(), this.#trashBySecret()];
    return this.#parts.store.list().map((record) => viewOf(record, volumes, trashed));
  }

  /** Names of those that could not be read when that was last tried. Asks nobody. */
  unreadable(): readonly string[] {
    const broken = this.#parts.store.list().filter(({ problem }) => problem !== null);
    return broken.map(({ name }) => name);
  }

  /** Throws `secret.not_found`. */
  inspect(name: string): SecretView {
    const found = this.list().find(({ record }) => record.name === name);
    if (found !== undefined) return found;
    const shown = name.slice(0, 255);
    throw new EngineError("secret.not_found", `there is no secret ${shown}`, {
      details: { secret: shown },
    });
  }

  /**
   * Keeps a value. A new one in the place of another is given to all volumes that use it, and
   * stays, also where one of them cannot take it: `refreshed` says so. Throws as `SecretStore.put`.
   */
  async put(
    name: string,
    value: SecretValue,
    how: { readonly mayReplace: boolean },
    operation: Operation,
  ): Promise<PutSecret> {
    const { store, events } = this.#parts;
    const record = await store.put(name, value, how, operation);
    const { wasReplaced } = record;
    events.secret(wasReplaced ? "update" : "create", name);
    const refreshed = await this.#refresh(name, operation);
    const unreadable = this.unreadable();
    return { view: this.inspect(name), wasReplaced, refreshed, unreadable };
  }

  /**
   * Removes a secret; resolves with what it was. What lies in the trash and used it comes back
   * without one. Throws `secret.in_use` with the volumes' names, `secret.not_found`.
   */
  async remove(name: string, operation: Operation): Promise<SecretView> {
    const { store, events, leases } = this.#parts;
    this.inspect(name);
    // Whoever makes a volume with it just now is waited for.
    await using _lease = await leases.acquire(`secret:${name}`, "exclusive", operation);
    const view = this.inspect(name);
    if (view.volumes.length > 0) {
      throw new EngineError(
        "secret.in_use",
        `the secret ${name} is in use by ${namesText(view.volumes)}`,
        { details: { secret: name, volumes: view.volumes } },
      );
    }
    await store.remove(name, operation);
    if (view.trashed.length > 0) {
      const volumes = namesText(view.trashed);
      operation.log.warn("a secret is gone that volumes in the trash name", {
        ...{ secret: name, volumes },
      });
    }
    events.secret("remove", name);
    return view;
  }

  /** Some at a time, in the order of their names; never throws. */
  async #refresh(name: string, operation: Operation): Promise<readonly RefreshedVolume[]> {
    const names = this.#volumesBySecret().get(name) ?? [];
    const refreshed: RefreshedVolume[] = [];
    const left = names[Symbol.iterator]();
    const work = async (): Promise<void> => {
      for (const volume of left) refreshed.push(await this.#refreshOne(volume, operation));
    };
    await Promise.all(Array.from({ length: REFRESHED_AT_ONCE_MAX }, work));
    return refreshed.sort((one, other) => (one.volume < other.volume ? -1 : 1));
  }

  async #refreshOne(volume: VolumeName, operation: Operation): Promise<RefreshedVolume> {
    const { volumes, drivers, care } = this.#parts;
    try {
      await using _lease = await volumes.lease(volume, operation);
      const entry = volumes.inspect(volume);
      refuseMoving(entry);
      const { update } = drivers.of(entry);
      if (update === undefined) return { volume, outcome: "next mount", reason: null };
      await update.update({ name: entry.name, options: driverOptions(entry.options) }, operation);
      // Where that was a new mount, it is for those who have the volume, too.
      await care.follow(entry, operation);
      const outcome = update.isWaiting?.(entry.name) === true ? "next mount" : "updated";
      return { volume, outcome, reason: null };
    } catch (error) {
      const { message, code } = toEngineError(error);
      operation.log.warn("a volume has not taken the new value of its secret", {
        ...{ volume, code, reason: message },
      });
      return { volume, outcome: "failed", reason: message };
    }
  }

  #volumesBySecret(): Users {
    return this.#parts.state.read((view) => this.#usersOf(view.volumes()));
  }

  #trashBySecret(): Users {
    return this.#parts.state.read((view) =>
      this.#usersOf([...view.retired()].map(({ volume }) => volume)),
    );
  }

  /** What a plugin calls `secret` is its own business. */
  #usersOf(entries: Iterable<VolumeEntry>): Users {
    const users = new Map<string, VolumeName[]>();
    for (const { name, driver, options } of entries) {
      const secret = options?.[SECRET_OPTION];
      if (secret === undefined || this.#parts.drivers.isOfPlugin(driver)) continue;
      const known = users.get(secret);
      if (known === undefined) users.set(secret, [name]);
      else known.push(name);
    }
    for (const names of users.values()) names.sort();
    return users;
  }
}

function viewOf(record: SecretRecord, volumes: Users, trashed: Users): SecretView {
  const { name } = record;
  return { record, volumes: volumes.get(name) ?? [], trashed: trashed.get(name) ?? [] };
}

/** `a, b and 3 more`. */
function namesText(names: readonly string[]): string {
  const more = names.length - NAMED_COUNT_MAX;
  return names.slice(0, NAMED_COUNT_MAX).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
