import { defineConfig } from "vitest/config";

export default defineConfig({
  // `#linux` of package.json, from the sources.
  ssr: { resolve: { conditions: ["skep-source", "node", "import", "module", "default"] } },
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
