// The `local` volumes of a dockerd that is a directory: what ForeignVolumes promises, and no more.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../../src/core/errors.ts";
import type {
  ForeignUser,
  ForeignVolume,
  ForeignVolumes,
  ForeignVolumesFinder,
} from "../../src/core/foreign-volumes.ts";
import type { Labels } from "../../src/core/state-store.ts";

export const directoryDockerKey = "docker:/directory.sock";

/** When all of its volumes were made. */
const createdAtMs = Date.UTC(2026, 0, 2, 3, 4, 5);

export class DirectoryDocker implements ForeignVolumesFinder {
  readonly #root: string;
  readonly #key: string;
  readonly #known = new Map<string, Pick<ForeignVolume, "labels" | "options">>();
  /** Containers, by the volume that they have. */
  readonly users = new Map<string, ForeignUser>();
  /** It does not answer. */
  isSilent = false;
  /** Runs before a volume is forgotten. */
  beforeForget: () => void = () => undefined;

  /** `root`: on the file system of Holdfast's data root. */
  constructor(root: string, key = directoryDockerKey) {
    this.#root = root;
    this.#key = key;
  }

  get names(): readonly string[] {
    return [...this.#known.keys()];
  }

  data(name: string): string {
    return join(this.#root, "volumes", name, "_data");
  }

  make(name: string, labels: Labels | null = null, options: Labels | null = null): void {
    mkdirSync(this.data(name), { recursive: true });
    this.#known.set(name, { labels, options });
  }

  of(key: string): ForeignVolumes | undefined {
    if (key !== this.#key) return undefined;
    return {
      key,
      list: async () => this.#answer(this.names.flatMap((name) => this.#volume(name) ?? [])),
      find: async (name) => this.#answer(this.#volume(name)),
      create: async ({ name, labels, options }) => {
        this.#answer(undefined);
        if (!this.#known.has(name)) this.make(name, labels, options);
        const made = this.#volume(name);
        if (made === undefined) throw new Error(`${name} was not made`);
        return made;
      },
      forget: async (name) => {
        this.#answer(undefined);
        this.beforeForget();
        if (this.users.has(name)) return "in use";
        rmSync(join(this.#root, "volumes", name), { recursive: true, force: true });
        this.#known.delete(name);
        return "forgotten";
      },
    };
  }

  #volume(name: string): ForeignVolume | undefined {
    const known = this.#known.get(name);
    if (known === undefined) return undefined;
    const user = this.users.get(name);
    const users = user === undefined ? [] : [user];
    return { name, ...known, createdAtMs, mountpoint: this.data(name), isHere: true, users };
  }

  #answer<T>(value: T): T {
    if (!this.isSilent) return value;
    throw new EngineError("containers.unreachable", "the directory does not answer");
  }
}
