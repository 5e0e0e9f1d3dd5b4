// The reference of the HTTP interface, drawn by the vendored swagger-ui from the service's own
// description. Nothing is fetched from elsewhere: no validator, no remote configuration.

/* global SwaggerUIBundle */
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
  queryConfigEnabled: false,
  persistAuthorization: false,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
