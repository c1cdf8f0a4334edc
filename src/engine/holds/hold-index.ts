// Holds by what the kernel shows of them, so that whoever has one mount need not look at all.
import { groupsOf, type Hold } from "./hold-table.ts";
import { isPodmans } from "./private-uses.ts";

interface Noted {
  readonly groups: readonly number[];
  readonly isPodmans: boolean;
}

export class HoldIndex {
  readonly #byGroup = new Map<number, Hold>();
  readonly #byPath = new Map<string, Hold>();
  readonly #noted = new Map<Hold, Noted>();
  #podmansCount = 0;

  /** The hold that has a mount in this peer group. */
  ofGroup(group: number): Hold | undefined {
    return this.#byGroup.get(group);
  }

  /** The hold whose mount is at this path. */
  atPath(path: string): Hold | undefined {
    return this.#byPath.get(path);
  }

  /** Whether any of them is Podman's, whose containers' mounts are in no group. */
  get hasPodmans(): boolean {
    return this.#podmansCount > 0;
  }

  /** There is this hold, or its groups have changed. */
  note(hold: Hold): void {
    this.forget(hold);
    const noted = { groups: groupsOf(hold), isPodmans: isPodmans(hold) };
    for (const group of noted.groups) this.#byGroup.set(group, hold);
    this.#byPath.set(hold.path, hold);
    this.#noted.set(hold, noted);
    if (noted.isPodmans) this.#podmansCount += 1;
  }

  /** There is no such hold any more. */
  forget(hold: Hold): void {
    const noted = this.#noted.get(hold);
    if (noted === undefined) return;
    for (const group of noted.groups) {
      if (this.#byGroup.get(group) === hold) this.#byGroup.delete(group);
    }
    if (this.#byPath.get(hold.path) === hold) this.#byPath.delete(hold.path);
    this.#noted.delete(hold);
    if (noted.isPodmans) this.#podmansCount -= 1;
  }
}
