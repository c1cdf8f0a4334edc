// Docker's routes about the engine itself: ping, version, info, disk usage, registry credentials.
import { EngineError } from "../../core/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { HttpResponse } from "../../http/message.ts";
import { API_VERSION, API_VERSION_MIN, type DaemonFacts } from "../facts.ts";
import type { RouteContext } from "../handler.ts";
import { warnings } from "../warnings.ts";
import { type DockerHeaders, jsonAnswer, messageAnswer, textAnswer } from "./answers.ts";
import { type GoStruct, readBody, textField } from "./go-json.ts";
import { parseQuery } from "./query.ts";
import { type ApiVersion, atLeast } from "./version.ts";
import { volumeUsageJson } from "./wire.ts";

export interface SystemRouteParts {
  readonly engine: Engine;
  readonly headers: DockerHeaders;
  readonly facts: DaemonFacts;
}

/** GET and HEAD /_ping: what every client sends first, to learn the version. */
export function ping(parts: SystemRouteParts): HttpResponse {
  return { status: 200, headers: parts.headers.ping, body: "OK" };
}

/** HEAD /_ping: dockerd announces no length but 0. */
export function pingHead(parts: SystemRouteParts): HttpResponse {
  return { status: 200, headers: parts.headers.ping, body: "" };
}

/** GET /version */
export function version(parts: SystemRouteParts): HttpResponse {
  const { facts } = parts;
  const details = {
    ApiVersion: API_VERSION,
    Arch: facts.arch,
    BuildTime: facts.buildTime,
    Experimental: "false",
    GitCommit: facts.gitCommit,
    GoVersion: facts.runtime,
    KernelVersion: facts.kernelVersion,
    MinAPIVersion: API_VERSION_MIN,
    Os: "linux",
  };
  return jsonAnswer(200, parts.headers.json, {
    Platform: { Name: "Holdfast" },
    Components: [{ Name: "Holdfast", Version: facts.version, Details: details }],
    Version: facts.version,
    ApiVersion: API_VERSION,
    MinAPIVersion: API_VERSION_MIN,
    GitCommit: facts.gitCommit,
    GoVersion: facts.runtime,
    Os: "linux",
    Arch: facts.arch,
    KernelVersion: facts.kernelVersion,
    BuildTime: facts.buildTime,
  });
}

/** GET /info: what clients read of it; what only a container engine has is zero or empty. */
export function info(parts: SystemRouteParts): HttpResponse {
  const { facts, engine } = parts;
  const sentences = warnings(parts);
  return jsonAnswer(200, parts.headers.json, {
    ID: facts.id,
    Containers: 0,
    ContainersRunning: 0,
    ContainersPaused: 0,
    ContainersStopped: 0,
    Images: 0,
    Driver: "none",
    DriverStatus: [["Volumes", String(engine.state.read((view) => view.volumeCount))]],
    Plugins: { Volume: engine.drivers.names(), Network: [], Authorization: null, Log: [] },
    MemoryLimit: false,
    SwapLimit: false,
    Debug: false,
    NEventsListener: engine.events.followerCount,
    SystemTime: new Date().toISOString(),
    LoggingDriver: "none",
    CgroupDriver: "none",
    KernelVersion: facts.kernelVersion,
    OperatingSystem: facts.operatingSystem,
    OSType: "linux",
    Architecture: facts.arch === "amd64" ? "x86_64" : facts.arch,
    NCPU: facts.cpuCount,
    MemTotal: facts.memoryBytes,
    DockerRootDir: facts.root,
    Name: facts.hostName,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: facts.version,
    Runtimes: {},
    DefaultRuntime: "",
    Swarm: { NodeID: "", NodeAddr: "", LocalNodeState: "inactive", ControlAvailable: false },
    LiveRestoreEnabled: false,
    Isolation: "",
    InitBinary: "",
    SecurityOptions: [],
    Warnings: sentences.length > 0 ? sentences : null,
  });
}

const sections = { container: "Containers", image: "Images", volume: "Volumes" } as const;
const DF_TYPES_VERSION: ApiVersion = [1, 42];

/** GET /system/df: only volumes are ever in it. */
export async function diskUsage(
  parts: SystemRouteParts,
  context: RouteContext,
  apiVersion: ApiVersion,
): Promise<HttpResponse> {
  const query = parseQuery(context.request.query);
  const types = atLeast(apiVersion, DF_TYPES_VERSION) ? (query.get("type") ?? []) : [];
  for (const type of types) {
    if (type !== "build-cache" && !Object.hasOwn(sections, type)) {
      throw new EngineError("request.invalid", `unknown object type: ${type}`);
    }
  }
  const wants = (type: string): boolean => types.length === 0 || types.includes(type);
  const list = (type: string): string => (wants(type) ? "[]" : "null");
  const volumes = wants("volume") ? `[${await usageJson(parts, context)}]` : "null";
  return textAnswer(
    200,
    parts.headers.json,
    `{"LayersSize":0,"Images":${list("image")},"Containers":${list("container")},` +
      `"Volumes":${volumes},"BuildCache":${list("build-cache")}}`,
  );
}

async function usageJson(parts: SystemRouteParts, context: RouteContext): Promise<string> {
  const usages = await parts.engine.usage.all(context.operation);
  return usages.map(volumeUsageJson).join(",");
}

const authConfig: GoStruct = {
  name: "AuthConfig",
  typeName: "types.AuthConfig",
  fields: {
    username: "string",
    password: "string",
    auth: "string",
    email: "string",
    serveraddress: "string",
    identitytoken: "string",
    registrytoken: "string",
  },
};

/** POST /auth: the registry is asked, and nothing is kept. */
export async function auth(
  parts: SystemRouteParts,
  { request, operation }: RouteContext,
): Promise<HttpResponse> {
  const fields = readBody(request, authConfig);
  const login = {
    server: textField(fields["serveraddress"]),
    auth: {
      username: textField(fields["username"]),
      password: textField(fields["password"]),
      identityToken: textField(fields["identitytoken"]),
    },
  };
  const { json } = parts.headers;
  try {
    const { identityToken } = await parts.engine.plugins.login(login, operation);
    return jsonAnswer(200, json, { IdentityToken: identityToken, Status: "Login Succeeded" });
  } catch (error) {
    // Everywhere else a registry's refusal is moby's 500.
    if (!(error instanceof EngineError) || error.code !== "registry.denied") throw error;
    return messageAnswer(401, json, error.message);
  }
}
