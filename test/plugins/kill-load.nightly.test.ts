// The kills of kill-load.test.ts, very many more.
import { whenPossible } from "../support/needs.ts";
import { killUnderLoad } from "./kill-load.ts";

const rounds = 400;
const testTimeoutMs = 3_600_000;

whenPossible(
  ["root", "mount", "docker-cli", "plugin-runtime"],
  `${rounds} kills at random moments`,
  async () => void (await killUnderLoad(rounds)),
  testTimeoutMs,
);
