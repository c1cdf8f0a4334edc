// kill -9 of the daemon, of plugins and of conmon at random moments under load: nothing that was
// acknowledged is lost, nothing is there by half, every name is usable.
import { expect } from "bun:test";
import { whenPossible } from "../support/needs.ts";
import { killUnderLoad } from "./kill-load.ts";

const rounds = 12;
const testTimeoutMs = 240_000;

whenPossible(
  ["root", "mount", "docker-cli", "plugin-runtime"],
  `${rounds} kills at random moments`,
  async () => {
    const { acknowledgedCount, unansweredCount } = await killUnderLoad(rounds);
    // Otherwise it was the load that did nothing.
    expect(acknowledgedCount).toBeGreaterThan(rounds * 5);
    expect(unansweredCount).toBeGreaterThan(rounds / 2);
  },
  testTimeoutMs,
);
