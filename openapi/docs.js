/**
 * Shows /openapi.json with swagger-ui, which the page loaded before as a global.
 */

const dark = matchMedia('(prefers-color-scheme: dark)');

function followColorScheme() {
    document.documentElement.classList.toggle('dark-mode', dark.matches);
}

// A page cannot send an upgrade with fetch: such a route is to be read, not to be tried.
function isUpgrade(operation) {
    return operation.hasIn(['responses', '101']);
}

const noTryOutOfUpgrades = {
    statePlugins: {
        spec: {
            wrapSelectors: {
                allowTryItOutFor: (original, system) => (state, path, method) => {
                    const operation = system.specSelectors.specJson().getIn(['paths', path, method]);
                    return !isUpgrade(operation) && original(state, path, method);
                },
            },
        },
    },
};

dark.addEventListener('change', followColorScheme);
followColorScheme();

SwaggerUIBundle({
    url: '/openapi.json',
    domNode: document.getElementById('docs'),
    plugins: [noTryOutOfUpgrades],
    supportedSubmitMethods: ['get'],
    deepLinking: true,
    docExpansion: 'list',
    defaultModelExpandDepth: 3,
    displayRequestDuration: true,
    validatorUrl: null,
});
