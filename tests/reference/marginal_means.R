# Writes marginal_means.json: means, contrasts and slopes of generalized models.
# Rscript marginal_means.R, with R 4.2.2, lme4 1.1.31, emmeans 1.8.4.1, mlmRev 1.0.8.
suppressMessages({library(lme4); library(emmeans); library(jsonlite)})
emm_options(msg.interaction = FALSE)
data(Contraception, package = "mlmRev")
control <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12,
                        optCtrl = list(rhobeg = 0.2, rhoend = 1e-9, maxfun = 1e5))

# columns: estimate, standard error, lower and upper limit
numbers <- function(x, ...) {
  d <- as.data.frame(summary(x, infer = TRUE, adjust = "none", ...))
  first <- which(names(d) == "SE") - 1
  unname(as.matrix(d[, c(first, first + 1, first + 3, first + 4)]))
}

cbpp_fit <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd),
                  cbpp, binomial, control = control)
periods <- emmeans(cbpp_fit, ~ period)
use_fit <- glmer(use ~ age * urban + livch + (urban | district), Contraception,
                 binomial, control = control)
ticks_fit <- glmer(TICKS ~ YEAR + meters + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION),
                   transform(grouseticks, meters = (HEIGHT - 462) / 100), poisson,
                   control = control)
out <- list(
  "cbpp, differences" = numbers(pairs(regrid(periods))),
  "cbpp, risk ratios" =
    numbers(pairs(regrid(periods, transform = "log")), type = "response"),
  "use, averaged" = numbers(emmeans(ref_grid(use_fit, regrid = "response"), ~ urban)),
  "use, back-transformed" = numbers(emmeans(use_fit, ~ urban), type = "response"),
  "use, slopes" = numbers(emtrends(use_fit, ~ urban, var = "age")),
  "use, slopes of means" = numbers(
    emtrends(use_fit, ~ urban, var = "age", regrid = "response", at = list(age = 5),
             delta.var = 1e-4)),
  "ticks, proportional" = numbers(
    emmeans(ref_grid(ticks_fit, regrid = "response", at = list(meters = c(-1, 2))),
            ~ meters, weights = "proportional"))
)
writeLines(toJSON(out, digits = 10), "marginal_means.json")
