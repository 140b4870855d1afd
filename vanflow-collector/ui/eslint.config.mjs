import js from '@eslint/js';
import globals from 'globals';

export default [
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, sourceType: 'module', globals: globals.browser },
    rules: {
      eqeqeq: 'error',
      'no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'prefer-const': 'error',
      'no-var': 'error',
      // What is served has no ends of lines that stand for a semicolon, and none behind the last statement of a block.
      semi: 'error',
      'no-restricted-syntax': ['error', { selector: 'EmptyStatement', message: 'its semicolon would be left out of what is served' }],
      'no-restricted-properties': [
        'error',
        ...['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'write'].map((property) => ({
          property,
          message: 'names come from remote peers: text is set as text, by dom.js',
        })),
      ],
    },
  },
  // These run no page: they read what it has drawn.
  { files: ['tests/**'], languageOptions: { globals: globals.node }, rules: { 'no-restricted-properties': 'off' } },
];
