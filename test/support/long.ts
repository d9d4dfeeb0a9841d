/** True in `npm run test:long`: a history test then makes hundreds of kills instead of a dozen. */
export const long = process.env.UNTRADEX_LONG === '1';
