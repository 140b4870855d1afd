import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const STYLE = readFileSync(new URL('../style.css', import.meta.url), 'utf8');

/** Both colours of each token. @type {Map<string, [string, string]>} */
const TOKENS = new Map([...STYLE.matchAll(/--([\w-]+): light-dark\((#\w+), (#\w+)\);/g)].map(([, name, light, dark]) => [name, [light, dark]]));

/** The relative luminance of WCAG 2. @param {string} colour */
function luminance(colour) {
  const digits = colour.slice(1);
  const whole = digits.length === 3 ? [...digits].map((digit) => digit + digit).join('') : digits;
  const [red, green, blue] = [0, 2, 4].map((at) => {
    const value = parseInt(whole.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** @param {string} a @param {string} b */
function contrast(a, b) {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

/** @param {string} name @param {0 | 1} theme */
function colour(name, theme) {
  const found = TOKENS.get(name);
  assert.ok(found, `style.css has no token ${name}`);
  return found[theme];
}

/** The backgrounds that each text is used on, and the least contrast. */
const TEXTS = {
  ink: ['bg', 'surface', 'site', 'sunken', 'sel-bg', 'bad-bg'], ink2: ['bg', 'surface', 'site', 'sunken', 'sel-bg'], ink3: ['bg', 'surface', 'site'],
  sel: ['bg', 'surface', 'site', 'sel-bg'], bad: ['bg', 'surface', 'site', 'bad-bg'], warn: ['bg', 'surface', 'site'],
};
const GRAPHICS = { flow: ['bg', 'surface', 'site'], link: ['bg', 'surface', 'site'], 'warn-fill': ['bg', 'surface', 'site'], ok: ['bg', 'surface'], wk: ['surface'] };

test('text has a contrast of 4.5 at the least on each background that it is used on, in both themes', () => {
  for (const theme of /** @type {const} */ ([0, 1])) {
    for (const [text, backgrounds] of Object.entries(TEXTS)) {
      for (const background of backgrounds) {
        const found = contrast(colour(text, theme), colour(background, theme));
        assert.ok(found >= 4.5, `${text} on ${background}, ${theme ? 'dark' : 'light'}: ${found.toFixed(2)}`);
      }
    }
  }
});

test('lines and marks have a contrast of 3 at the least', () => {
  for (const theme of /** @type {const} */ ([0, 1])) {
    for (const [mark, backgrounds] of Object.entries(GRAPHICS)) {
      for (const background of backgrounds) {
        const found = contrast(colour(mark, theme), colour(background, theme));
        assert.ok(found >= 3, `${mark} on ${background}, ${theme ? 'dark' : 'light'}: ${found.toFixed(2)}`);
      }
    }
  }
});

test('no text is smaller than 11 px', () => {
  for (const file of ['style.css']) {
    const style = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
    const sizes = [...style.matchAll(/font(?:-size)?:[^;}]*?(\d+(?:\.\d+)?)px/g)].map((match) => Number(match[1]));
    assert.ok(Math.min(...sizes) >= 11, `${file}: ${Math.min(...sizes)}`);
  }
});

test('colours are tokens, wherever they are used', () => {
  for (const file of ['style.css']) {
    const style = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
    const rules = style.split('\n').filter((line) => !/^\s*--/.test(line) && !line.includes('::backdrop')).join('\n');
    assert.deepEqual([...rules.matchAll(/#[0-9a-f]{3,8}\b|rgba?\(/gi)].map((match) => match[0]), [], file);
  }
});
