// The npm packages of the tests are installed under build/, where Node does not look by itself.

import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const FOLDER = path.resolve(process.env.TEST_PACKAGES ?? path.join(ROOT, 'build/npm/tests'));
const { resolve } = createRequire(path.join(FOLDER, 'package.json'));

/** The module of this name, as import() gives it. */
export function load(name) {
    return import(pathToFileURL(resolve(name)));
}
