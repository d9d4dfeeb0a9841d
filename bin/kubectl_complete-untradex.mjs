#!/usr/bin/env node
// kubectl runs this to complete what is typed after `kubectl untradex`.
import './untradex.mjs';
