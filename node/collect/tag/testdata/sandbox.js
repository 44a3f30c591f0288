// What Tag Manager gives a template, as far as ours goes: require, and what its tests
// may call (https://developers.google.com/tag-platform/tag-manager/templates/tests).
function sandbox(code) {
  const mocks = {};
  const calls = {};
  const own = {
    encodeUriComponent: encodeURIComponent,
    createArgumentsQueue(name, list) {
      window[list] = window[list] || [];
      window[name] = window[name] || function () { window[list].push(arguments); };
      return window[name];
    },
    injectScript(url, onSuccess, onFailure) {
      const script = document.createElement("script");
      script.async = true;
      script.src = window.rewrite ? rewrite(url) : url;
      script.onload = onSuccess;
      script.onerror = onFailure;
      document.head.append(script);
    },
    // Consent Mode inside Tag Manager: granted unless somebody said otherwise.
    isConsentGranted: (type) => (window.tagManagerConsent || {})[type] !== "denied",
    addConsentListener(type, listener) {
      (window.tagManagerListeners = window.tagManagerListeners || []).push({ type, listener });
    },
  };
  const api = (name) => (...args) => {
    calls[name] = (calls[name] || 0) + 1;
    const does = mocks[name] || own[name];
    if (!does && !/^gtmOn/.test(name)) throw new Error("no such API: " + name);
    return does ? does(...args) : undefined;
  };
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  return {
    runCode: (data) =>
      new Function("require", "data", code)(api, {
        ...data,
        gtmOnSuccess: api("gtmOnSuccess"),
        gtmOnFailure: api("gtmOnFailure"),
      }),
    mock: (name, does) => (mocks[name] = does),
    assertApi: (name) => ({
      wasCalled() {
        if (!calls[name]) throw new Error(name + " was not called");
      },
    }),
    assertThat: (got) => ({
      isEqualTo(want) {
        if (!same(got, want)) throw new Error("got " + JSON.stringify(got) + ", want " + JSON.stringify(want));
      },
    }),
  };
}
