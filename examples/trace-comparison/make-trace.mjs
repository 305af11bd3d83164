// A trace in refheap's text format: 200 requests, each with a large buffer of which the first page is used.
console.log("refheap-trace 1");
for (let request = 0; request < 200; request++) {
  console.log(`0 malloc ${request} 1000000`);
  console.log(`0 write ${request} 0 4000`);
  if (request >= 8) console.log(`0 free ${request - 8}`);
}
