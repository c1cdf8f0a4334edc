// What managed plugins are made of: everything that they need from others.
import type { Host } from "../../core/host.ts";
import type { Log, Operation } from "../../core/operation.ts";
import type { Images } from "../registry/images.ts";
import type { PluginRuntime } from "../runtime/runtime.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { PluginFiles } from "./files.ts";
import type { Leftovers } from "./leftovers.ts";
import type { PluginTable } from "./table.ts";

export interface ManagedParts {
  /** `<root>/plugins`: absolute, without links; made when it is missing. */
  readonly directory: string;
  readonly images: Pick<Images, "login" | "resolve" | "download" | "push">;
  readonly store: Pick<
    BlobStore,
    "put" | "read" | "path" | "adopt" | "settle" | "collect" | "clearPartial"
  >;
  readonly runtime: Pick<
    PluginRuntime,
    "start" | "stop" | "resume" | "state" | "follow" | "adopt" | "logs" | "forget" | "stopAll"
  >;
  readonly host: Host;
  /** Gives memory back that a download has left behind. It takes a moment. */
  readonly returnMemory?: (() => void) | undefined;
  readonly log: Log;
  /** A fresh operation on the daemon's own account. */
  readonly operation: () => Operation;
}

/** The same, with what is made of it. */
export interface Workshop extends ManagedParts {
  readonly files: PluginFiles;
  readonly table: PluginTable;
  readonly leftovers: Leftovers;
}
