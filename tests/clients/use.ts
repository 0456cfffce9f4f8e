// Uses the types that openapi-typescript has generated, against a running `honoken dev`. That it compiles is half of the test.
import createClient from "openapi-fetch";
import type { components, paths } from "./honoken.js";

declare const process: { env: Record<string, string | undefined> };

function demand(holds: unknown, found: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(found));
}

const baseUrl = process.env.HONOKEN_URL;
const key = process.env.HONOKEN_API_KEY;
const type = process.env.HONOKEN_PASS_TYPE;
const sample = process.env.HONOKEN_SAMPLE;
demand(baseUrl && key && type && sample, "the environment names the service");
const integrator = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

const file = await integrator.GET("/manage/v1/passes/{type}/{serial}/assets/{file}", {
  params: { path: { type, serial: sample, file: "icon.png" } },
  parseAs: "arrayBuffer",
});
const icon = file.data;
demand(icon, file.error);
const upload = {
  // The document has bytes, the types have text: a generator of types does not know the class of the caller's bytes.
  body: "" as string,
  bodySerializer: () => icon,
  headers: { "Content-Type": "application/octet-stream" },
};
const uploaded = await integrator.POST("/manage/v1/blobs", upload);
demand(uploaded.data, uploaded.error);

const content: components["schemas"]["Content"] = { description: "A ticket", eventName: "Opening Night", seat: "1A" };
const issued = await integrator.POST("/manage/v1/passes", {
  body: {
    passTypeIdentifier: type,
    serialNumber: "GENERATED-2",
    ticketStyle: "event",
    content,
    assets: { "icon.png": uploaded.data.digest },
  },
});
demand(issued.response.status === 201 && issued.data?.etag, issued.error);

const path = { type, serial: "GENERATED-2" };
const given = await integrator.PUT("/manage/v1/passes/{type}/{serial}/assets/{file}", {
  params: { path: { ...path, file: "logo.png" } },
  ...upload,
});
demand(given.data?.etag, given.error);
const late = await integrator.PUT("/manage/v1/passes/{type}/{serial}/content", {
  params: { path, header: { "If-Match": `"${issued.data.etag}"` } },
  body: content,
});
demand(late.response.status === 412 && late.error?.code === "precondition_failed", late.error);
const changed = await integrator.PATCH("/manage/v1/passes/{type}/{serial}/content", {
  params: { path, query: { urgent: true } },
  body: { seat: "2B" },
  headers: { "Content-Type": "application/merge-patch+json" },
});
demand(changed.data?.changed === true, changed.error);
const state = await integrator.GET("/manage/v1/passes/{type}/{serial}", { params: { path } });
demand(state.data?.content.seat === "2B" && "logo.png" in state.data.assets, state);
console.log("the generated TypeScript client works");
