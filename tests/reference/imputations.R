# Joint tests of several coefficients pooled over imputations: Rscript imputations.R
#
# The imputed values of mice's example (?D1, https://amices.org/mice/reference/D1.html,
# where the first test is printed), and of the sleepstudy data with a covariate of which
# a tenth is missing.
suppressMessages({
  library(lme4)
  library(mice)
  library(mitml)
  library(jsonlite)
})

tests <- function(fits, smaller, dfcom = NULL) {
  both <- lapply(list(fits, smaller), as.mitml.result)
  found <- testModels(both[[1]], both[[2]], method = "D1", df.com = dfcom)$test
  unname(found[1, c("F.value", "df1", "df2", "P(>F)", "RIV")])
}
imputed <- function(imp, name) as.list(unname(lapply(imp$imp[[name]], as.numeric)))

imp <- mice(nhanes2, seed = 51009, print = FALSE)
full <- with(imp, lm(bmi ~ age + hyp + chl))
others <- list(
  chl = with(imp, lm(bmi ~ age + hyp)), age_chl = with(imp, lm(bmi ~ hyp)),
  age_hyp_chl = with(imp, lm(bmi ~ 1))
)
nhanes <- lapply(others, function(o) tests(full$analyses, o$analyses, 20))
asymptotic <- lapply(others, function(o) tests(full$analyses, o$analyses))

d <- sleepstudy
set.seed(3)
d$load <- round(d$Days / 2 + rnorm(180), 1)
d$load[sample(180, 18)] <- NA
sleep <- mice(d, m = 4, seed = 7, print = FALSE)
formulas <- list(
  Reaction ~ Days + load + I(load^2) + (Days | Subject), Reaction ~ Days + (Days | Subject)
)
tight <- lmerControl(
  optimizer = "bobyqa", optCtrl = list(rhobeg = 0.02, rhoend = 1e-10, maxfun = 1e5)
)
fits <- lapply(formulas, function(f) {
  lapply(1:4, function(i) lmer(f, complete(sleep, i), control = tight))
})
versions <- sapply(c("lme4", "mice", "mitml"), function(p) as.character(packageVersion(p)))
write_json(
  list(
    versions = as.list(c(R = as.character(getRversion()), versions)),
    nhanes2 = list(
      age = as.numeric(nhanes2$age), bmi = nhanes2$bmi,
      hyp = as.numeric(nhanes2$hyp), chl = nhanes2$chl
    ),
    imputed = lapply(setNames(nm = c("bmi", "hyp", "chl")), imputed, imp = imp),
    tests = nhanes, asymptotic = asymptotic,
    load = d$load, loads = imputed(sleep, "load"),
    sleepstudy = list(tests(fits[[1]], fits[[2]]), tests(fits[[1]], fits[[2]], 15))
  ),
  "imputations.json", auto_unbox = TRUE, digits = 12, na = "null"
)
