// POST /auth, Docker's `login`: the client keeps what a registry has taken.
import type { Engine } from "../../engine/engine.ts";
import type { HttpResponse } from "../../http/message.ts";
import type { RouteContext } from "../handler.ts";
import { reportRefusal } from "../refusal-report.ts";
import { type DockerHeaders, jsonAnswer, messageAnswer } from "./answers.ts";
import { type GoStruct, readBody } from "./go-json.ts";
import { registryAuthOf, registryCall } from "./plugin-requests.ts";

const authConfig: GoStruct = {
  name: "AuthConfig",
  typeName: "types.AuthConfig",
  fields: {
    username: "string",
    password: "string",
    serveraddress: "string",
    identitytoken: "string",
    registrytoken: "string",
  },
};

/** Docker answers a registry's refusal with 500 or 401, by its kind; here it is always 401. */
export async function logIn(
  { engine, headers }: { readonly engine: Engine; readonly headers: DockerHeaders },
  context: RouteContext,
): Promise<HttpResponse> {
  const { request, operation } = context;
  const fields = readBody(request, authConfig);
  const { metaHeaders } = registryCall(request);
  const call = { auth: registryAuthOf(fields), metaHeaders };
  const own = { ...operation, signal: request.connectionClosed };
  try {
    await engine.plugins.login(String(fields["serveraddress"] ?? ""), call, own);
  } catch (thrown) {
    const error = reportRefusal(thrown, context);
    if (error.code !== "registry.denied") throw error;
    return messageAnswer(401, headers.json, error.message);
  }
  return jsonAnswer(200, headers.json, { IdentityToken: "", Status: "Login Succeeded" });
}
