// What a person is told behind a refusal: the volume, driver, option or filter that was meant.
import { describe, expect, test } from "bun:test";
import { FakeDaemon, json, runWords } from "../../test/support/fake-daemon.ts";

describe("on a terminal a refusal is followed by what was meant", () => {
  const refusals: readonly (readonly [line: string, message: string, meant: string])[] = [
    ["volume rm gon", "get gon: no such volume", "Did you mean gone?"],
    ["volume inspect GOEN", "get GOEN: no such volume", "Did you mean gone?"],
    [
      "volume create -d loca x",
      'create x: error looking up volume plugin loca: plugin "loca" not found',
      "Did you mean local?",
    ],
    [
      "volume create -d cifs x",
      'create x: error looking up volume plugin cifs: plugin "cifs" not found',
      "Did you mean smb?",
    ],
    [
      "volume create -d s3 x",
      'create x: error looking up volume plugin s3: plugin "s3" not found',
      "Did you mean rclone with -o remote=s3:BUCKET?",
    ],
    ["volume create -o typ=a x", 'create x: invalid option: "typ"', "Did you mean type?"],
    ["volume ls --filter nmae=a", "invalid filter 'nmae'", "Did you mean name?"],
    ["volume prune -f --filter lable=a", "invalid filter 'lable'", "Did you mean label?"],
    ["events --filter tpe=a", "invalid filter 'tpe'", "Did you mean type?"],
    [
      "volume create -o size=10m x",
      "create x: quota size requested but no quota support",
      "Leave size out, or limit a volume in memory with: -o type=tmpfs -o device=tmpfs",
    ],
  ];

  function refusing(message: string, names = ["other", "gone", "g\x1b[1m"]): Promise<FakeDaemon> {
    return FakeDaemon.start(({ method, path }) => {
      if (path.endsWith("/info"))
        return json({ Plugins: { Volume: ["local", "nfs", "rclone", "smb"] } });
      const isList = method === "GET" && path.endsWith("/volumes");
      return isList ? json({ Volumes: names.map((Name) => ({ Name })) }) : json({ message }, 400);
    });
  }
  const terminal = { isTerminal: true, env: { NO_COLOR: "1" } } as const;

  test.each(refusals)("%s", async (line, message, meant) => {
    await using daemon = await refusing(message);
    const { stderr, exit } = await runWords(line.split(" "), daemon.host, terminal);
    expect(stderr).toStartWith(`Error response from daemon: ${message}\n${meant}`);
    expect(exit).toBe(1);
    const count = daemon.requests.length;
    const piped = await runWords(line.split(" "), daemon.host);
    expect(piped.stderr).toBe(`Error response from daemon: ${message}\n`);
    // One more for the hint where names are asked for, on a terminal only.
    expect(count - (daemon.requests.length - count)).toBeLessThanOrEqual(1);
  });

  test("once for several failures, and only where something is near", async () => {
    await using daemon = await refusing("get gon: no such volume");
    const line = ["volume", "rm", "gon", "gon", "gon"];
    const { stderr } = await runWords(line, daemon.host, terminal);
    expect(stderr.match(/Did you mean/g)).toHaveLength(1);
    expect(daemon.requests.filter(({ method }) => method === "GET")).toHaveLength(1);
    await using far = await refusing("get gon: no such volume", ["postgres", "g\x1b[1m"]);
    expect((await runWords(line, far.host, terminal)).stderr).not.toContain("Did you mean");
  });

  test("not for a volume whose plugin is gone: nobody has typed its driver", async () => {
    const message =
      'get x: error while checking if volume "x" exists in driver "loca": error looking up ' +
      'volume plugin loca: plugin "loca" not found';
    await using daemon = await refusing(message);
    const { stderr } = await runWords(["volume", "rm", "x"], daemon.host, terminal);
    expect(stderr).toContain("Install its plugin again, or free the name");
    expect(stderr).not.toContain("Did you mean");
  });

  test("not when the daemon does not answer any more", async () => {
    await using daemon = await FakeDaemon.start(({ method }, socket) => {
      if (method === "DELETE") return json({ message: "get gon: no such volume" }, 404);
      socket.destroy();
      return "raw";
    });
    const { stderr, exit } = await runWords(["volume", "rm", "gon"], daemon.host, terminal);
    expect(stderr).toBe(
      "Error response from daemon: get gon: no such volume\n" +
        "List the volumes that exist with: holdfast volume ls\n",
    );
    expect(exit).toBe(1);
  });
});
