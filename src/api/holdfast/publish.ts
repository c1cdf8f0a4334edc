// The routes of publishing: the archive is handed on while it comes.
import { PUBLISH_KEEP_COUNT_MAX } from "../../core/publishing.ts";
import type { Engine } from "../../engine/engine.ts";
import { type Call, invalid, parseFlag } from "./call.ts";
import { PUBLISH_KEEP_COUNT } from "./publish-contract.ts";
import { OWN_PREFIX } from "./route-contract.ts";

/** The highest number means "as it is" to chown(2). */
const ID_MAX = 0xffff_fffe;

/** Whether the body is an archive, which is not kept: see `HttpServerParts.streamsBody`. */
export function isPublishUpload(method: string, path: string): boolean {
  if (method !== "PUT" || !path.startsWith(OWN_PREFIX)) return false;
  return /^volumes\/[^/]+\/publish$/.test(path.slice(OWN_PREFIX.length));
}

/** The handlers of `publish` and `rollBack`. */
export function publishHandlers({ publishing }: Pick<Engine, "publishing">) {
  return {
    publish: ({ path, query, context }: Call) => {
      const request = {
        volume: path["name"] ?? "",
        path: query.get("path") ?? "",
        keep: parseKeep(query),
        owner: parseOwner(query),
        allowGap: parseFlag("allowGap", query),
      };
      const archive = context.request.bodyStream ?? nothing();
      return publishing.publish(request, archive, context.operation);
    },
    rollBack: ({ path, query, context }: Call) => {
      const allowGap = parseFlag("allowGap", query);
      const request = { volume: path["name"] ?? "", path: query.get("path") ?? "", allowGap };
      return publishing.rollBack(request, context.operation);
    },
  };
}

/** What is no archive is refused by who reads it. */
async function* nothing(): AsyncGenerator<Uint8Array> {}

function parseKeep(query: URLSearchParams): number {
  const text = query.get("keep");
  if (text === null) return PUBLISH_KEEP_COUNT;
  const keep = /^\d{1,3}$/.test(text) ? Number(text) : -1;
  if (keep >= 0 && keep <= PUBLISH_KEEP_COUNT_MAX) return keep;
  throw invalid("keep", text, `a whole number from 0 to ${PUBLISH_KEEP_COUNT_MAX} is needed`);
}

function parseOwner(query: URLSearchParams) {
  const text = query.get("owner");
  if (text === null) return undefined;
  const [, user, group = user] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text) ?? [];
  const [userId, groupId] = [Number(user), Number(group)];
  if (userId <= ID_MAX && groupId <= ID_MAX) return { userId, groupId };
  throw invalid("owner", text, "UID or UID:GID is needed, in digits");
}
