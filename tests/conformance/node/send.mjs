// Sends one of every call with the official client: node send.mjs HOST WRITE_KEY
import { Analytics } from "@segment/analytics-node";

const [host, writeKey] = process.argv.slice(2);
const analytics = new Analytics({ writeKey, host, maxEventsInBatch: 4 });
let failures = 0;
analytics.on("error", (error) => {
  failures += 1;
  console.error(JSON.stringify(error));
});

analytics.identify({ userId: "node-1", traits: { email: "b@example.com", name: "Żółć 买" } });
analytics.track({ anonymousId: "node-anon", event: "Product Viewed", properties: { product_id: "p1" } });
analytics.alias({ userId: "node-1", previousId: "node-anon" });
analytics.page({ userId: "node-1", name: "Home", properties: { url: "https://example.com/" } });
analytics.screen({ userId: "node-1", name: "Main" });
analytics.group({ userId: "node-1", groupId: "acme", traits: { plan: "pro" } });
analytics.track({
  userId: "node-1",
  event: "Order Completed",
  timestamp: new Date("2024-01-02T03:05:00Z"),
  properties: { revenue: 9.99, products: [{ product_id: "p1", quantity: 2 }] },
});
await analytics.closeAndFlush({ timeout: 10000 });
process.exit(failures ? 1 : 0);
