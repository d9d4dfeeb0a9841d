const light = `--paper:#fff;--card:#f6f7f9;--ink:#1c2128;--quiet:#57606a;--line:#d8dde3;--good:#166534;--good-card:#eefaf1;--bad:#b42318;--bad-card:#fff1f0;--warn:#8a5300;--warn-card:#fff8e6;
--s0:#1d5fbf;--s1:#b4500b;--s2:#0f766e;--s3:#7a3fc4;--s4:#b0256b;--s5:#5a6b00;--s6:#475569;--s7:#8a5a2b`;
const dark = `--paper:#14171c;--card:#1c2027;--ink:#e4e8ee;--quiet:#9da7b3;--line:#333a44;--good:#6fd08c;--good-card:#13251a;--bad:#ff8f84;--bad-card:#2e1614;--warn:#e8b45a;--warn-card:#2a2112;
--s0:#6aa5f8;--s1:#f0995a;--s2:#4cc3b5;--s3:#b794f4;--s4:#f17fb5;--s5:#b6c94a;--s6:#a3afbf;--s7:#d3a271`;

/** All of the page's style, in itself: no font, no picture, nothing from elsewhere. Paper is white whatever the screen is. */
export const style = `
:root{color-scheme:light dark;${light}}
@media (prefers-color-scheme:dark){:root{${dark}}}
@media print{:root{color-scheme:light;${light}}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif;-webkit-text-size-adjust:100%}
main,header,footer{max-width:54rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.5rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .35rem;letter-spacing:-.015em;overflow-wrap:anywhere}
h2{font-size:1.25rem;line-height:1.3;margin:3rem 0 .75rem;padding-top:1rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.75rem 0 .5rem}
p{margin:.5rem 0}
a{color:var(--s0)}
.kind{margin:0 0 .25rem;font-size:.8rem;font-weight:600;letter-spacing:.06em;text-transform:uppercase;color:var(--quiet)}
.about{margin:0;color:var(--quiet);overflow-wrap:anywhere}
.verdict{margin:1.5rem 0 0;padding:1.25rem 1.5rem;border-radius:.6rem;border:1px solid var(--good);border-left-width:.4rem;background:var(--good-card)}
.verdict.bad{border-color:var(--bad);background:var(--bad-card)}
.verdict h2{margin:0;padding:0;border:0;font-size:1.5rem;letter-spacing:.01em;color:var(--good)}
.verdict.bad h2{color:var(--bad)}
.verdict p{margin:.35rem 0 0;max-width:44rem}
.counts{display:grid;grid-template-columns:repeat(auto-fit,minmax(6.3rem,1fr));gap:1rem 1.5rem;margin:1.1rem 0 0}
.counts div{display:flex;flex-direction:column}
.counts dt{font-size:.85rem;color:var(--quiet)}
.counts dd{order:-1;margin:0;font-size:1.5rem;line-height:1.25;font-weight:600;font-variant-numeric:tabular-nums}
.notes{list-style:none;margin:1rem 0 0;padding:0}
.notes li{margin:.5rem 0 0;padding:.6rem 1rem;border-left:.25rem solid var(--warn);border-radius:.3rem;background:var(--warn-card)}
.facts{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.45rem 1.5rem;margin:.75rem 0}
.facts dt{color:var(--quiet)}
.facts dd{margin:0;min-width:0;overflow-wrap:anywhere}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.85em;overflow-wrap:anywhere}
pre{margin:.4rem 0;padding:.7rem .9rem;border-radius:.4rem;background:var(--card);white-space:pre-wrap}
ol{padding-left:1.4rem}
ol li{margin:.6rem 0}
.scroll{overflow-x:auto}
.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--s0);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:.9rem}
caption{text-align:left;color:var(--quiet);font-size:.85rem;padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line)}
th{font-weight:600}
thead th{color:var(--quiet);font-size:.82rem;vertical-align:bottom}
tbody th{font-weight:400}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th.number:first-child{text-align:left}
.digests{min-width:40rem}
.digests code{overflow-wrap:anywhere}
.digests td:first-of-type{white-space:nowrap}
.digests td:last-child{width:45%}
figure{margin:1.75rem 0;break-inside:avoid}
figcaption{font-weight:600;margin-bottom:.4rem}
figure p{margin:.3rem 0;font-size:.88rem;color:var(--quiet)}
svg.wide,svg.narrow{display:block;width:100%;height:auto;font-size:12px;font-variant-numeric:tabular-nums}
svg.narrow{display:none}
svg text{fill:var(--quiet)}
.grid{stroke:var(--line);stroke-width:1;fill:none}
.tick{stroke:var(--quiet);stroke-width:1;fill:none}
.curve{fill:none;stroke-width:1.75;stroke-linejoin:round;stroke-linecap:round}
.curve.thin{stroke-width:1;stroke-opacity:.5}
.fill{fill-opacity:.13}
${[0, 1, 2, 3, 4, 5, 6, 7].map((i) => `.curve.s${i}{stroke:var(--s${i})}.fill.s${i}{fill:var(--s${i})}`).join('\n')}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;margin:0 0 .3rem;padding:0;font-size:.85rem}
.swatch{width:16px;height:4px;vertical-align:middle}
.swatch .curve{stroke-width:3}
details{margin:.4rem 0;font-size:.88rem}
summary{cursor:pointer;color:var(--quiet)}
.ids{columns:10rem;list-style:none;margin:.5rem 0;padding:0}
.ids li{overflow-wrap:anywhere}
footer{margin-top:3rem;padding-top:1rem;padding-bottom:3rem;font-size:.85rem;color:var(--quiet)}
@media (max-width:38rem){
header{padding-top:1.5rem}
main,header,footer{padding-left:1rem;padding-right:1rem}
h1{font-size:1.55rem}
svg.wide{display:none}
svg.narrow{display:block}
.verdict{padding:1rem 1.1rem}
.facts{grid-template-columns:1fr;gap:0}
.facts dd{margin-bottom:.6rem}
}
@media print{
body{font-size:10.5pt}
main,header,footer{max-width:none;padding-left:0;padding-right:0}
h2,h3,figcaption{break-after:avoid}
tr,.verdict{break-inside:avoid}
details:not([open]){display:none}
.scroll{overflow:visible}
.digests{min-width:0}
}
`;
