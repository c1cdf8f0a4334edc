// What becomes of answers that no healthy dockerd gives: each is a refusal, none is an empty list.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testOperation } from "../../test/support/operation.ts";
import { EngineError } from "../core/errors.ts";
import { dockerEngine } from "./docker-engine.ts";

const id = "a".repeat(64);

/** A listener that answers every request with these bytes and goes; undefined: with nothing. */
async function withAnswer<T>(
  bytes: string | undefined,
  use: (engine: ReturnType<typeof dockerEngine>, requests: readonly string[]) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-containers-"));
  const socketPath = join(folder, "docker.sock");
  const requests: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      requests.push(data.toString().split("\r\n", 1)[0] ?? "");
      if (bytes !== undefined) socket.end(bytes);
    });
  });
  const listening = Promise.withResolvers<void>();
  server.listen(socketPath, listening.resolve);
  await listening.promise;
  try {
    const socketPaths = () => [join(folder, "nobody.sock"), socketPath];
    return await use(dockerEngine({ key: "docker:/x", driver: "holdfast", socketPaths }), requests);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function answer(status: string, body: string): string {
  return `HTTP/1.1 ${status}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

async function failure(bytes: string | undefined): Promise<string> {
  return await withAnswer(bytes, async (engine) => {
    const thrown = await engine.containers(testOperation()).catch((error: unknown) => error);
    if (!(thrown instanceof EngineError)) throw new Error(`no failure: ${JSON.stringify(thrown)}`);
    expect(thrown.code).toBe("containers.unreachable");
    expect(thrown.message).toStartWith("docker:/x cannot be asked: ");
    return thrown.message.slice("docker:/x cannot be asked: ".length);
  });
}

describe("the list", () => {
  test("fails when dockerd does", async () => {
    expect(await failure(answer("500 No", '{"message":"no"}'))).toBe(
      'it answered 500 "{\\"message\\":\\"no\\"}"',
    );
  });

  test("fails when it is cut off, no JSON, or of another shape", async () => {
    expect(await failure("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[")).toBe("aborted");
    expect(await failure(answer("200 OK", "["))).toMatch(/JSON/);
    expect(await failure(answer("200 OK", "{}"))).toBe(
      "it answered with something that is no list",
    );
    const mounts = [{ Type: "volume", Driver: "holdfast", Name: 1, Destination: "/x" }];
    const one = { Id: id, Names: ["/c1"], State: "running", Mounts: mounts };
    expect(await failure(answer("200 OK", JSON.stringify([one])))).toBe(
      "it answered with a wrong Name",
    );
  });

  test("fails at its deadline, and when the operation is cancelled", async () => {
    expect(await failure(undefined)).toBe("no answer within 3000 ms");
    await withAnswer(undefined, async (engine) => {
      const controller = new AbortController();
      const asked = engine.containers(testOperation(controller.signal));
      controller.abort(new EngineError("operation.cancelled", "stopping"));
      await expect(asked).rejects.toMatchObject({ code: "operation.cancelled" });
    });
  });

  test("leaves out what has no volume of ours", async () => {
    const mount = { Type: "volume", Driver: "holdfast", Name: "wiki", Destination: "/x", RW: true };
    const mounts = [
      [mount],
      [{ ...mount, Driver: "local" }],
      [{ ...mount, Type: "bind" }],
      null,
    ].map((Mounts, index) => ({ Id: id, Names: [`/c${index}`, "/c9/x"], State: "dead", Mounts }));
    await withAnswer(answer("200 OK", JSON.stringify(mounts)), async (engine, requests) => {
      expect(await engine.containers(testOperation())).toEqual([
        {
          id,
          name: "c0",
          project: null,
          isRunning: false,
          volumes: [{ volume: "wiki", destination: "/x", isReadOnly: false }],
        },
      ]);
      expect(requests).toEqual(["GET /containers/json?all=1 HTTP/1.1"]);
    });
  });
});

describe("services", () => {
  const mount = { Type: "volume", Source: "wiki", Target: "/x" };
  const service = (mounts: unknown) => ({
    ID: "s1",
    Spec: { Name: "app", TaskTemplate: { ContainerSpec: { Mounts: mounts } } },
  });
  const withDriver = (name: string) => ({ VolumeOptions: { DriverConfig: { Name: name } } });

  async function volumesOf(...mounts: readonly unknown[]): Promise<readonly string[]> {
    const body = JSON.stringify([service(mounts), service(null), { ID: "s2", Spec: {} }]);
    return await withAnswer(answer("200 OK", body), async (engine, requests) => {
      const services = await engine.services(testOperation());
      expect(requests).toEqual(["GET /services HTTP/1.1"]);
      expect(services.map(({ id, name }) => [id, name])).toEqual(services.map(() => ["s1", "app"]));
      return services.flatMap(({ volumes }) => volumes);
    });
  }

  async function refusal(bytes: string | undefined): Promise<string> {
    return await withAnswer(bytes, async (engine) => {
      const thrown = await engine.services(testOperation()).catch((error: unknown) => error);
      expect(thrown).toMatchObject({ code: "containers.unreachable" });
      return String(thrown).replace(/.* cannot be asked: /, "");
    });
  }

  test("name volumes of ours, and those of which they do not say whose they are", async () => {
    expect(
      await volumesOf(
        mount,
        { ...mount, Target: "/y" },
        { ...mount, Source: "blog", ...withDriver("holdfast") },
        { ...mount, Source: "shop", ...withDriver("") },
        { ...mount, Source: "other", ...withDriver("local") },
        { ...mount, Type: "bind", Source: "/srv" },
        { ...mount, Source: "" },
        { Type: "volume", Target: "/anonymous" },
        { ...mount, Source: "data-{{.Task.Slot}}-{{.Node.ID}}" },
      ),
    ).toEqual(["wiki", "blog", "shop", "data-*-*"]);
    expect(await volumesOf({ ...mount, ...withDriver("local") })).toEqual([]);
  });

  test("are none where there is no Swarm to manage", async () => {
    for (const message of [
      'This node is not a swarm manager. Use "docker swarm init" to connect this node.',
      "This node is not a swarm manager. Worker nodes can't be used to view cluster state.",
    ]) {
      const bytes = answer("503 No", `{"message":"${message}"}`);
      await withAnswer(bytes, async (engine) => {
        expect(await engine.services(testOperation())).toEqual([]);
      });
    }
    await withAnswer(answer("404 No", '{"message":"page not found"}'), async (engine) => {
      expect(await engine.services(testOperation())).toEqual([]);
    });
  });

  test("are not known of a manager that cannot say", async () => {
    for (const message of [
      "This node is not a swarm manager. Manager is being prepared or has trouble connecting.",
      "Swarm is encrypted and needs to be unlocked before it can be used.",
    ]) {
      const reason = await refusal(answer("503 No", JSON.stringify({ message })));
      expect(reason).toStartWith("it answered 503 ");
    }
    expect(await refusal(answer("500 No", "{}"))).toBe('it answered 500 "{}"');
    expect(await refusal(answer("200 OK", "{}"))).toMatch(/no list/);
    const odd = JSON.stringify([service([{ ...mount, Source: 7 }])]);
    expect(await refusal(answer("200 OK", odd))).toBe("it answered with a wrong Source");
  });
});

test("stopping succeeds for what is stopped or gone, and fails otherwise", async () => {
  for (const status of ["204 Done", "304 Was", "404 Gone"]) {
    await withAnswer(
      `HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`,
      async (engine, requests) => {
        await engine.stop(id, testOperation());
        expect(requests).toEqual([`POST /containers/${id}/stop?t=2 HTTP/1.1`]);
        await engine.restart(id, testOperation());
        expect(requests.at(-1)).toBe(`POST /containers/${id}/restart?t=10 HTTP/1.1`);
      },
    );
  }
  await withAnswer(answer("500 No", "{}"), async (engine) => {
    await expect(engine.stop(id, testOperation())).rejects.toMatchObject({
      code: "containers.unreachable",
    });
  });
});
