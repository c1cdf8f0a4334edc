// Names, holders and short calls for tests of drivers over remote storage.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { DriverOptions, VolumeDriver } from "../../src/core/driver.ts";
import { EngineError } from "../../src/core/errors.ts";
import { makeTrashId, parseHolderId, parseVolumeName } from "../../src/core/names.ts";
import { type BindServer, bindServer } from "./bind-kind.ts";
import { testOperation } from "./operation.ts";

export const wiki = parseVolumeName("wiki");
export const other = parseVolumeName("other");
export const first = parseHolderId("c1");
export const second = parseHolderId("c2");
export const trashId = makeTrashId("0123456789abcdef");
export const operation = testOperation();

/** A driver over a folder, with what lies there in reach. */
export interface RemoteBench extends BindServer, AsyncDisposable {
  readonly driver: VolumeDriver;
  create(options?: DriverOptions): ReturnType<VolumeDriver["create"]>;
  /** All that is on the server, sorted. */
  onServer(): readonly string[];
  /** All that is below the driver's directory, without what is mounted there. */
  here(): readonly string[];
  isMounted(): boolean;
}

export function remoteBench(): RemoteBench {
  const server = bindServer();
  const driver = server.open();
  const folder = join(server.root, "data", "remote", "bound");
  return {
    ...server,
    driver,
    create: (options = {}) => driver.create({ name: wiki, options }, operation),
    onServer: () => readdirSync(server.share, { recursive: true, encoding: "utf8" }).toSorted(),
    here: () => readdirSync(folder).toSorted(),
    isMounted: () =>
      server.host.mounts().some(({ target }) => target === join(folder, wiki, "data")),
    [Symbol.asyncDispose]: server.release,
  };
}

/** The `EngineError` that `work` rejects with. */
export async function failureOf(work: Promise<unknown>): Promise<EngineError> {
  const [outcome] = await Promise.allSettled([work]);
  if (outcome.status === "fulfilled") throw new Error("it must fail");
  if (outcome.reason instanceof EngineError) return outcome.reason;
  throw outcome.reason;
}

/** The run directory of the volume `wiki`; whether it is there, and what is in it. */
export function runOf({ root }: BindServer): readonly string[] | undefined {
  const directory = join(root, "run", "remote", "bound", wiki);
  return existsSync(directory) ? readdirSync(directory) : undefined;
}
