// A root with the `local` driver on it, for tests of its trash: what lies in it, what it runs.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Retirement, TrashCapable, VolumeDriver } from "../../src/core/driver.ts";
import type { Host } from "../../src/core/host.ts";
import { makeTrashId, parseVolumeName, type TrashId } from "../../src/core/names.ts";
import { localDriver } from "../../src/drivers/local/driver.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { testOperation } from "./operation.ts";

export interface TrashBench {
  readonly root: string;
  /** The programs that ran, each with its arguments. */
  readonly programs: readonly (readonly string[])[];
  /** A driver on the root, as a start makes it; `change` replaces members of the machine. */
  open(change?: Partial<Host>): { readonly driver: VolumeDriver; readonly trash: TrashCapable };
  /** Makes a volume, with a file in it unless it shall be empty, and retires it. */
  retired(index: number, isFilled?: boolean): Promise<TrashId>;
  /** The names in the trash, sorted. */
  inTrash(): readonly string[];
  /** Removes the root. */
  close(): void;
}

export function trashBench(): TrashBench {
  const root = mkdtempSync("/dev/shm/holdfast-trash-");
  const programs: (readonly string[])[] = [];
  const operation = testOperation();

  function open(change: Partial<Host> = {}): ReturnType<TrashBench["open"]> {
    const host = { ...linuxHost(), ...change };
    const run: Host["run"] = (program, args, inner, pace) => {
      programs.push([program, ...args]);
      return host.run(program, args, inner, pace);
    };
    const driver = localDriver({ root, host: { ...host, run } });
    if (driver.trash === undefined) throw new Error("local has a trash");
    return { driver, trash: driver.trash };
  }
  return {
    root,
    programs,
    open,
    async retired(index, isFilled = true) {
      const { driver, trash } = open();
      const name = parseVolumeName(`volume-${index}`);
      await driver.create({ name, options: {} }, operation);
      if (isFilled) writeFileSync(join(root, "volumes", name, "_data", "file"), "data");
      await trash.retire(name, as(idOf(index)), operation);
      return idOf(index);
    },
    inTrash: () => readdirSync(join(root, "trash")).sort(),
    close: () => rmSync(root, { recursive: true, force: true }),
  };
}

export function idOf(index: number): TrashId {
  return makeTrashId(index.toString(16).padStart(16, "0"));
}

/** A removal under this id, described. */
export function as(id: TrashId, description = `{"removed":"${id}"}`): Retirement {
  return { id, description };
}
