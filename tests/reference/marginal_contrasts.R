# Writes marginal_contrasts.json: contrasts, tests, letters and arrows of emmeans.
# Rscript marginal_contrasts.R, with R 4.2.2, lme4 1.1.31, pbkrtest 0.5.2,
# emmeans 1.8.4.1, multcomp 1.4.22, mvtnorm 1.1.3, nlme 3.1.162 (Oats).
suppressMessages({library(lme4); library(emmeans); library(multcomp); library(jsonlite)})
emm_options(msg.interaction = FALSE)
set.seed(1)

oats <- transform(as.data.frame(nlme::Oats), nitro = factor(nitro))
m <- lmer(yield ~ nitro * Variety + (1 | Block / Variety), oats,
          control = lmerControl(optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-12)))
nitro <- emmeans(m, ~ nitro)
variety <- emmeans(m, ~ Variety)
both <- emmeans(m, ~ nitro * Variety)
numbers <- function(x, columns) {
  d <- as.data.frame(x)
  unname(as.matrix(d[, columns]))
}
tests <- function(x, ...) {
  d <- as.data.frame(test(x, ...))
  unname(as.matrix(d[, c("t.ratio", "p.value")]))
}
limits <- function(x, ...) {
  d <- as.data.frame(confint(x, ...))
  unname(as.matrix(d[, c("lower.CL", "upper.CL")]))
}
groups <- function(x) {
  d <- as.data.frame(cld(x, Letters = letters))
  trimws(gsub("([a-z]) +", "\\1", d$.group))
}
joint <- function(x) {
  d <- as.data.frame(x)
  unname(as.matrix(d[, c("df1", "df2", "F.ratio", "p.value")]))
}
late <- transform(sleepstudy, late = factor(Days > 4, labels = c("early", "late")))
log_fit <- lmer(log(Reaction) ~ late + (1 | Subject), late)
sqrt_fit <- lmer(sqrt(Reaction) ~ late + (1 | Subject), late)
total <- function(fit) sqrt(sum(as.data.frame(VarCorr(fit))$vcov))
logs <- emmeans(log_fit, ~ late)
roots <- emmeans(sqrt_fit, ~ late)
arrows <- plot(nitro, comparisons = TRUE, plotit = FALSE)
out <- list(
  "interaction" = numbers(contrast(both, interaction = c("poly", "consec")),
                          c("estimate", "SE", "df", "t.ratio", "p.value")),
  "dunnett" = cbind(tests(contrast(variety, "trt.vs.ctrl", adjust = "mvt")),
                    limits(contrast(variety, "trt.vs.ctrl", adjust = "mvt"))),
  "consecutive, mvt" = tests(contrast(nitro, "consec", adjust = "mvt")),
  "larger, mvt" = tests(contrast(variety, "trt.vs.ctrl", adjust = "mvt"), side = ">"),
  "effect sizes" = numbers(eff_size(variety, sigma = 13, edf = 51),
                           c("effect.size", "SE")),
  "equivalence" = tests(pairs(variety), delta = 20, adjust = "none"),
  "equivalence, sidak" = tests(pairs(variety), delta = 20, adjust = "sidak"),
  "noninferiority" = cbind(
    tests(pairs(variety), delta = 5, side = ">", adjust = "none"),
    limits(pairs(variety), side = ">", adjust = "none")[, 1]),
  "nonsuperiority" = tests(pairs(variety), delta = 5, side = "<", adjust = "none"),
  "null" = tests(variety, null = 90),
  "letters, nitro" = groups(nitro),
  "letters, both" = groups(both),
  "joint" = joint(joint_tests(m)),
  "joint, by" = joint(joint_tests(m, by = "Variety")),
  "log" = numbers(summary(logs, type = "response"),
                  c("response", "SE", "df", "lower.CL", "upper.CL")),
  "log, ratio" = numbers(summary(pairs(logs), infer = TRUE, type = "response"),
                         c("ratio", "SE", "df", "lower.CL", "upper.CL")),
  "sqrt, bias adjusted" = numbers(
    summary(roots, type = "response", bias.adjust = TRUE, sigma = total(sqrt_fit)),
    c("response", "SE")),
  "arrows" = numbers(arrows, c("lcmpl", "rcmpl"))
)
writeLines(toJSON(out, digits = 10, na = "null"), "marginal_contrasts.json")
