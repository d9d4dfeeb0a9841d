#!/usr/bin/env node
import { createRequire } from 'module';
import { pathToFileURL } from 'url';

const { launch } = createRequire(import.meta.url)('../setup/launch.cjs');
launch(process.argv, process.env).then((file) => file && import(pathToFileURL(file)));
