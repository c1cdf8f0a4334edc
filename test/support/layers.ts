// A place where layers are unpacked, beside what must stay as it is.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { EngineError } from "../../src/core/errors.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { runToEnd } from "./child.ts";
import { testOperation } from "./operation.ts";

const tarTimeoutMs = 60_000;

export interface LayerPlace extends Disposable {
  readonly folder: string;
  /** Where layers go. */
  readonly into: string;
  /** Beside it, with a file `secret`. */
  readonly outside: string;
  /** Unpacks archives one upon the other. */
  unpack(...archives: readonly Uint8Array[]): Promise<void>;
  /** The same for one that fails. */
  failure(archive: Uint8Array): Promise<EngineError>;
  /** Throws when anything outside has changed. */
  checkOutside(): void;
}

export const ampleLimits = { bytesMax: 50_000_000, entryCountMax: 10_000 };

export function makeLayerPlace(limits = ampleLimits): LayerPlace {
  const host = linuxHost();
  const folder = mkdtempSync("/dev/shm/holdfast-layers-");
  const into = join(folder, "into");
  const outside = join(folder, "outside");
  const archive = join(folder, "layer");
  mkdirSync(into);
  mkdirSync(outside);
  writeFileSync(join(outside, "secret"), "untouched", { mode: 0o600 });
  const unpack = async (...archives: readonly Uint8Array[]): Promise<void> => {
    for (const bytes of archives) {
      writeFileSync(archive, bytes);
      await host.unpackLayer({ archive, into, ...limits }, testOperation());
    }
  };
  return {
    folder,
    into,
    outside,
    unpack,
    async failure(bytes) {
      const thrown = await unpack(bytes).catch((error: unknown) => error);
      if (thrown instanceof EngineError) return thrown;
      throw new Error("it was unpacked", { cause: thrown });
    },
    checkOutside() {
      const secret = join(outside, "secret");
      const { nlink, mode } = statSync(secret);
      const seen = [readFileSync(secret, "utf8"), nlink, mode & 0o7777].join(" ");
      if (seen !== "untouched 1 384") throw new Error(`outside has changed: ${seen}`);
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Everything about a tree but the times of access: equal archives are of equal trees. */
export async function archiveTree(root: string, archive: string): Promise<void> {
  const format = ["--format=posix", "--pax-option=delete=atime,delete=ctime", "--sort=name"];
  const attributes = ["--xattrs", "--xattrs-include=*", "--numeric-owner"];
  const words = ["-C", root, ...format, ...attributes, "-cf", archive, "."];
  const { exit, stderr } = await runToEnd("tar", words, { timeoutMs: tarTimeoutMs });
  if (exit !== 0) throw new Error(`tar: ${stderr}`);
}

/** Gzip that unpacks to much: the same member many times, behind a beginning. */
export function gzipBomb(start: Uint8Array, repeated: Uint8Array, count: number): Uint8Array {
  const member = gzipSync(repeated);
  return Buffer.concat([gzipSync(start), ...Array.from({ length: count }, () => member)]);
}
