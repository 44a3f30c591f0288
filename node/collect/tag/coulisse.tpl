___TERMS_OF_SERVICE___

By creating or modifying this file you agree to Google Tag Manager's Community
Template Gallery Developer Terms of Service available at
https://developers.google.com/tag-manager/gallery-tos (or such other URL as
Google may provide), as modified from time to time.


___INFO___

{
  "type": "TAG",
  "id": "cvt_temp_public_id",
  "version": 1,
  "securityGroups": [],
  "displayName": "Coulisse",
  "categories": [
    "ANALYTICS"
  ],
  "brand": {
    "id": "coulisse",
    "displayName": "Coulisse"
  },
  "description": "Mesure votre site par votre propre nœud Coulisse, selon le consentement de chaque personne. · Measures your site through your own Coulisse node, as far as each person consented.",
  "containerContexts": [
    "WEB"
  ]
}


___TEMPLATE_PARAMETERS___

[
  {
    "type": "TEXT",
    "name": "node",
    "displayName": "Adresse du nœud · Address of the node",
    "simpleValueType": true,
    "alwaysInSummary": true,
    "valueHint": "https://mesure.example.ca",
    "help": "Celle où votre nœud répond au public, sans chemin. · Where your node answers the public, without a path.",
    "valueValidators": [
      {
        "type": "NON_EMPTY"
      },
      {
        "type": "REGEX",
        "args": [
          "^https://[^/?#\\s]+/?$"
        ],
        "errorMessage": "https:// puis le nom d’hôte seul · https:// then the host name alone"
      }
    ]
  },
  {
    "type": "RADIO",
    "name": "consent",
    "displayName": "D’où vient le consentement · Where consent comes from",
    "simpleValueType": true,
    "defaultValue": "page",
    "radioItems": [
      {
        "value": "page",
        "displayValue": "De la page : gtag('consent', 'update', …) ou coulisse('consent', …) · From the page: gtag('consent', 'update', …) or coulisse('consent', …)"
      },
      {
        "value": "tagManager",
        "displayValue": "De Tag Manager : un modèle de bandeau y règle le mode Consentement · From Tag Manager: a banner’s template sets Consent Mode in it",
        "help": "Seulement si votre outil de consentement règle les quatre types (analytics_storage, ad_storage, ad_user_data, ad_personalization) avant tout : Tag Manager tient pour accordé un type que personne n’a réglé. · Only if your consent tool sets the four types first: Tag Manager takes a type that nobody has set as granted."
      }
    ]
  },
  {
    "type": "RADIO",
    "name": "beforeConsent",
    "displayName": "Avant la réponse de la personne · Before the person has answered",
    "simpleValueType": true,
    "defaultValue": "nothing",
    "radioItems": [
      {
        "value": "nothing",
        "displayValue": "Rien n’est envoyé · Nothing is sent"
      },
      {
        "value": "counts",
        "displayValue": "Les pages vues sont comptées, sans personne · Page views are counted, without a person",
        "help": "Sans identifiant, ni paramètres, ni langue ; rien n’est déposé dans le navigateur. Le nœud doit le permettre aussi (before_consent: counts). · Without an identifier, parameters or language; nothing is stored in the browser. The node has to allow it as well (before_consent: counts)."
      }
    ]
  },
  {
    "type": "SELECT",
    "name": "minor",
    "displayName": "Page pour les moins de 14 ans · Page for people under 14",
    "simpleValueType": true,
    "defaultValue": "no",
    "macrosInSelect": true,
    "selectItems": [
      {
        "value": "no",
        "displayValue": "Non · No"
      },
      {
        "value": "yes",
        "displayValue": "Oui : rien n’est chargé · Yes: nothing is loaded"
      }
    ],
    "help": "Une variable peut répondre yes ou true. · A variable may answer yes or true."
  },
  {
    "type": "TEXT",
    "name": "layer",
    "displayName": "Nom de la couche de données · Name of the data layer",
    "simpleValueType": true,
    "defaultValue": "dataLayer",
    "valueValidators": [
      {
        "type": "REGEX",
        "args": [
          "^[A-Za-z_$][\\w$]*$"
        ],
        "errorMessage": "Un nom de variable · A variable’s name"
      }
    ]
  }
]


___SANDBOXED_JS_FOR_WEB_TEMPLATE___

// Loads the node's tag, after telling it what Tag Manager alone knows.
const createArgumentsQueue = require('createArgumentsQueue');
const injectScript = require('injectScript');
const isConsentGranted = require('isConsentGranted');
const addConsentListener = require('addConsentListener');
const encodeUriComponent = require('encodeUriComponent');

const minor = data.minor === true || data.minor === 'true' || data.minor === 'yes';
const node = data.node && data.node.indexOf('https://') === 0 ? data.node.split('/')[2] : '';

if (minor) {
  data.gtmOnSuccess();
} else if (!node) {
  data.gtmOnFailure();
} else {
  if (data.consent === 'tagManager') followConsent();
  injectScript('https://' + node + '/c.js' + options(), data.gtmOnSuccess, data.gtmOnFailure, 'coulisse');
}

function options() {
  const said = [];
  if (data.beforeConsent === 'counts') said.push('before-consent=counts');
  if (data.layer && data.layer !== 'dataLayer') said.push('layer=' + encodeUriComponent(data.layer));
  return said.length ? '?' + said.join('&') : '';
}

// A consent tool that is a template sets Consent Mode inside Tag Manager, where a page
// does not see it. What is not granted when the tag fires may only not have been asked
// yet: a refusal is one once something was changed.
function followConsent() {
  const coulisse = createArgumentsQueue('coulisse', 'coulisseQueue');
  const tell = () => {
    coulisse('consent', {
      analytics: isConsentGranted('analytics_storage'),
      advertising: isConsentGranted('ad_storage') && isConsentGranted('ad_user_data'),
      personalisation: isConsentGranted('ad_personalization'),
      proof: 'gcm'
    });
  };
  if (isConsentGranted('analytics_storage')) tell();
  addConsentListener('analytics_storage', tell);
  addConsentListener('ad_storage', tell);
  addConsentListener('ad_user_data', tell);
  addConsentListener('ad_personalization', tell);
}


___WEB_PERMISSIONS___

[
  {
    "instance": {
      "key": {
        "publicId": "access_globals",
        "versionId": "1"
      },
      "param": [
        {
          "key": "keys",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "key"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  },
                  {
                    "type": 1,
                    "string": "execute"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "coulisse"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "key"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  },
                  {
                    "type": 1,
                    "string": "execute"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "coulisseQueue"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              }
            ]
          }
        }
      ]
    },
    "clientAnnotations": {
      "isEditedByUser": true
    },
    "isRequired": true
  },
  {
    "instance": {
      "key": {
        "publicId": "access_consent",
        "versionId": "1"
      },
      "param": [
        {
          "key": "consentTypes",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "analytics_storage"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "ad_storage"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "ad_user_data"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "ad_personalization"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              }
            ]
          }
        }
      ]
    },
    "clientAnnotations": {
      "isEditedByUser": true
    },
    "isRequired": true
  },
  {
    "instance": {
      "key": {
        "publicId": "inject_script",
        "versionId": "1"
      },
      "param": [
        {
          "key": "urls",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 1,
                "string": "https://*/c.js"
              },
              {
                "type": 1,
                "string": "https://*/c.js?*"
              }
            ]
          }
        }
      ]
    },
    "clientAnnotations": {
      "isEditedByUser": true
    },
    "isRequired": true
  }
]


___TESTS___

scenarios:
- name: Loads the node's tag
  code: |-
    runCode({node: 'https://mesure.example.ca/', consent: 'page', beforeConsent: 'nothing', minor: 'no', layer: 'dataLayer'});
    assertThat(injected).isEqualTo(['https://mesure.example.ca/c.js']);
    assertThat(said).isEqualTo([]);
    assertApi('gtmOnSuccess').wasCalled();
- name: Passes the options on
  code: |-
    runCode({node: 'https://mesure.example.ca', consent: 'page', beforeConsent: 'counts', minor: false, layer: 'couche'});
    assertThat(injected).isEqualTo(['https://mesure.example.ca/c.js?before-consent=counts&layer=couche']);
- name: Loads nothing for people under 14
  code: |-
    runCode({node: 'https://mesure.example.ca', consent: 'tagManager', minor: 'true'});
    assertThat(injected).isEqualTo([]);
    assertThat(said).isEqualTo([]);
    assertApi('gtmOnSuccess').wasCalled();
- name: Fails without a node
  code: |-
    runCode({node: 'http://mesure.example.ca', consent: 'page'});
    assertThat(injected).isEqualTo([]);
    assertApi('gtmOnFailure').wasCalled();
- name: Says nothing of a person who was not asked yet, then what was answered
  code: |-
    granted = [];
    runCode({node: 'https://mesure.example.ca', consent: 'tagManager'});
    assertThat(said).isEqualTo([]);
    granted = ['analytics_storage', 'ad_storage'];
    listeners.analytics_storage('analytics_storage', true);
    granted = [];
    listeners.ad_storage('ad_storage', false);
    assertThat(said).isEqualTo([
      {analytics: true, advertising: false, personalisation: false, proof: 'gcm'},
      {analytics: false, advertising: false, personalisation: false, proof: 'gcm'}
    ]);
- name: Tells at once what was granted before
  code: |-
    granted = ['analytics_storage', 'ad_storage', 'ad_user_data', 'ad_personalization'];
    runCode({node: 'https://mesure.example.ca', consent: 'tagManager'});
    assertThat(said).isEqualTo([{analytics: true, advertising: true, personalisation: true, proof: 'gcm'}]);
setup: |-
  let granted = [];
  const injected = [];
  const said = [];
  const listeners = {};
  mock('injectScript', (url, onSuccess) => { injected.push(url); onSuccess(); });
  mock('createArgumentsQueue', () => (verb, answers) => { said.push(answers); });
  mock('isConsentGranted', (type) => granted.indexOf(type) >= 0);
  mock('addConsentListener', (type, listener) => { listeners[type] = listener; });


___NOTES___

Déclencheur : Initialisation, sur toutes les pages. Une seule balise par site.
Trigger: Initialization, on all pages. One tag a site.

Les achats et autres événements GA4 sont lus dans la couche de données ; il n’y a pas d’autre balise à faire.
Purchases and other GA4 events are read from the data layer; no other tag is needed.
