// The one executable: `holdfast daemon …` is the daemon, everything else is the command line.
// `hold-mount`, `unpack-layer`, `assist` and `become-command` are for neither: we run ourselves as
// a helper so.
import { runCli } from "./cli/run.ts";
import { processTerminal } from "./cli/terminal.ts";

async function main(words: readonly string[]): Promise<number> {
  const [first, ...rest] = words;
  if (first === "daemon") return (await import("./daemon/main.ts")).runDaemon(rest);
  if (first === "hold-mount") return (await import("./daemon/hold-mount.ts")).runHoldMount(rest);
  if (first === "unpack-layer") {
    return (await import("./daemon/unpack-layer.ts")).runUnpackLayer(rest);
  }
  if (first === "measure-peer") {
    return (await import("./daemon/measure-peer.ts")).runMeasurePeer(rest);
  }
  if (first === "become-command") {
    return (await import("./daemon/become-command.ts")).runBecome(rest);
  }
  if (first === "assist" && rest[0] !== undefined) {
    const { runAssistCommand } = await import("./daemon/assist-commands.ts");
    const status = await runAssistCommand(rest[0]);
    if (status !== undefined) return status;
  }
  if (first === "help" && rest[0] === "daemon" && rest.length === 1) return main(["daemon", "-h"]);
  return runCli(words, processTerminal(), {
    version: async () => (await import("./daemon/build-facts.ts")).version,
    verifyDriver: async (request) => {
      const { verifyBuiltInDriver } = await import("./daemon/verify.ts");
      return verifyBuiltInDriver(request);
    },
    verifyPlugin: async (request) => {
      const { verifyPlugin } = await import("./daemon/verify-plugin.ts");
      return verifyPlugin(request);
    },
    foreground: async () => (await import("./daemon/foreground.ts")).thisForeground(),
    installer: async () => (await import("./daemon/install.ts")).thisInstaller(),
    doctor: async (request) => {
      const { examineHost } = await import("./daemon/examine.ts");
      return examineHost(request);
    },
  });
}

process.exit(await main(Bun.argv.slice(2)));
