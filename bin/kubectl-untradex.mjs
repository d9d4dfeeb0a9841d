#!/usr/bin/env node
// kubectl runs this as `kubectl untradex`.
import './untradex.mjs';
