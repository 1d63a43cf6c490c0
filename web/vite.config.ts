/** Builds the portal to dist/web, from where the worker serves it. `vite web` proxies to a worker on this machine. */
import tailwind from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** The page says it itself, because static assets are served without passing the worker. In development Vite writes inline code. */
const POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'";
const contentSecurityPolicy: Plugin = {
  name: "gantry:content-security-policy",
  apply: "build",
  transformIndexHtml: () => [
    { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: POLICY }, injectTo: "head-prepend" },
  ],
};

// biome-ignore lint/style/noDefaultExport: Vite loads the default export
export default defineConfig({
  plugins: [react(), tailwind(), contentSecurityPolicy],
  build: {
    outDir: "../dist/web",
    emptyOutDir: true,
    // Inlined assets are data: URLs, which `default-src 'self'` refuses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2023",
  },
  server: { proxy: { "/api": { target: "http://127.0.0.1:8787", ws: true } } },
});
