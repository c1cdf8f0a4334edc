// The routes of secrets: a list, one of them, a new value, an end.
import { EngineError } from "../../core/errors.ts";
import { SecretValue } from "../../core/secret-store.ts";
import type { Engine } from "../../engine/engine.ts";
import type { SecretView } from "../../engine/secrets.ts";
import { instantOf } from "../holder-objects.ts";
import type { Call } from "./call.ts";

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The handlers of `secrets`, `secret`, `putSecret` and `removeSecret`. */
export function secretHandlers(engine: Engine) {
  const { secrets } = engine;
  return {
    secrets: () => ({ secrets: secrets.list().map(secretObject) }),
    secret: ({ path }: Call) => secretObject(secrets.inspect(path["name"] ?? "")),
    putSecret: async ({ path, body, context }: Call) => {
      const value = decoded(body.text("value") ?? "");
      const how = { mayReplace: body.flag("replace") };
      const put = await secrets.put(path["name"] ?? "", value, how, context.operation);
      const { view, wasReplaced: replaced, refreshed, unreadable } = put;
      return { ...secretObject(view), replaced, refreshed, unreadable };
    },
    removeSecret: async ({ path, context }: Call) =>
      secretObject(await secrets.remove(path["name"] ?? "", context.operation)),
  };
}

function decoded(text: string): SecretValue {
  if (base64.test(text)) return new SecretValue(Buffer.from(text, "base64"));
  throw new EngineError("secret.invalid", "value: base64 is needed, with its padding", {
    details: { field: "value" },
  });
}

function secretObject({ record, volumes, trashed }: SecretView): object {
  const { name, createdAtMs, updatedAtMs, problem } = record;
  return {
    name,
    createdAt: instantOf(createdAtMs),
    updatedAt: instantOf(updatedAtMs),
    problem,
    volumes,
    trash: trashed,
  };
}
