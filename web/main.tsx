import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api.ts";
import { router } from "./routes.tsx";
import { reconnectOnReturn } from "./session/use-session.ts";
import { startTheme } from "./ui/theme.ts";
import "./styles.css";

startTheme();
reconnectOnReturn();

const client: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    // A session that ended elsewhere: the gate asks again who this is, and shows the way in.
    onError: (error, query) => {
      if (error instanceof ApiError && error.status === 401 && query.queryKey[0] !== "me")
        void client.resetQueries({ queryKey: ["me"] });
    },
  }),
  defaultOptions: {
    queries: {
      retry: (failures, error) =>
        failures < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
    },
  },
});

const container = document.getElementById("root");
if (!container) throw new Error("index.html has no #root");
createRoot(container).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
